import { BlockList, isIP } from 'node:net';
import { type Endpoint, familyOf, sameEndpoint } from '../util/endpoint.js';

/** What kind of place an address names; documentation ranges count as public (the lab lives there). */
export type AddressClass = 'public' | 'private' | 'loopback' | 'link-local' | 'unusable';

type Ranges = readonly (readonly [net: string, prefix: number])[];

function list(v4: Ranges, v6: Ranges): BlockList {
  const ranges = new BlockList();
  for (const [net, prefix] of v4) ranges.addSubnet(net, prefix, 'ipv4');
  for (const [net, prefix] of v6) ranges.addSubnet(net, prefix, 'ipv6');
  return ranges;
}

/** IANA special-purpose registries (RFC 6890), as far as they can never be, or rarely are, a reflexive address. */
const CLASSES: readonly (readonly [AddressClass, BlockList])[] = [
  [
    'unusable',
    list(
      [
        ['0.0.0.0', 8],
        ['224.0.0.0', 4],
        ['240.0.0.0', 4],
      ],
      [
        ['::', 128],
        ['ff00::', 8],
      ],
    ),
  ],
  ['loopback', list([['127.0.0.0', 8]], [['::1', 128]])],
  ['link-local', list([['169.254.0.0', 16]], [['fe80::', 10]])],
  [
    'private',
    list(
      [
        ['10.0.0.0', 8],
        ['172.16.0.0', 12],
        ['192.168.0.0', 16],
        ['100.64.0.0', 10],
      ],
      [['fc00::', 7]],
    ),
  ],
];

/** The class of an address; text that is no address is unusable. */
export function classOf(address: string): AddressClass {
  const plain = address.split('%', 1)[0] ?? '';
  const family = isIP(plain);
  if (family === 0) return 'unusable';
  const type = family === 6 ? 'ipv6' : 'ipv4';
  return CLASSES.find(([, ranges]) => ranges.check(plain, type))?.[0] ?? 'public';
}

/**
 * Can `mapped` be where `server` sees us? A server on the internet that names a private or loopback address
 * lies, unless it is an address of this machine; the answer goes into invitations, so it must not be believed.
 */
export function isPlausibleMapped(
  mapped: Endpoint,
  server: Endpoint,
  localAddresses: () => readonly string[],
): boolean {
  const kind = classOf(mapped.address);
  if (mapped.port === 0 || kind === 'unusable' || familyOf(mapped) !== familyOf(server)) return false;
  return kind === 'public' || kind === classOf(server.address) || localAddresses().includes(mapped.address);
}

/**
 * May a server's other address be asked? It must be of the server's own kind and no well-known port of others:
 * behaviour tests send a handful of datagrams there on the server's word alone.
 */
export function isPlausibleAlternate(alternate: Endpoint, server: Endpoint): boolean {
  if (sameEndpoint(alternate, server) || familyOf(alternate) !== familyOf(server)) return false;
  if (alternate.port < Math.min(1024, server.port)) return false;
  const kind = classOf(alternate.address);
  return kind !== 'unusable' && kind === classOf(server.address);
}
