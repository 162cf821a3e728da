import { BlockList, isIP } from 'node:net';
import type { Endpoint } from '../../util/endpoint.js';

/** How far an address reaches: this machine, a private network, the Internet; undefined: nobody is there. */
export type Scope = 'loopback' | 'private' | 'public' | undefined;

function ranges(...cidrs: string[]): BlockList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address = '', bits] = cidr.split('/');
    list.addSubnet(address, Number(bits), isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
  return list;
}

/** IANA special-purpose registries (RFC 6890), by family: a list of both takes an IPv4 address for a mapped one. */
const RANGES = {
  ipv4: {
    loopback: ranges('127.0.0.0/8'),
    private: ranges('10.0.0.0/8', '100.64.0.0/10', '172.16.0.0/12', '192.168.0.0/16'),
    nowhere: ranges(
      '0.0.0.0/8',
      '169.254.0.0/16',
      '192.0.0.0/24',
      '198.18.0.0/15',
      '224.0.0.0/4',
      '240.0.0.0/4',
    ),
  },
  ipv6: {
    loopback: ranges('::1/128'),
    private: ranges('fc00::/7'),
    // Whatever wraps an IPv4 address would be a detour around the rules above.
    nowhere: ranges('::/96', '::ffff:0:0/96', '64:ff9b::/96', '2002::/16', 'fe80::/10', 'ff00::/8'),
  },
} as const;

/** The scope of an address in canonical text. */
export function scopeOf(address: string): Scope {
  const version = isIP(address);
  if (version === 0) return undefined;
  const family = version === 6 ? 'ipv6' : 'ipv4';
  const { loopback, nowhere, private: inner } = RANGES[family];
  if (loopback.check(address, family)) return 'loopback';
  if (nowhere.check(address, family)) return undefined;
  return inner.check(address, family) ? 'private' : 'public';
}

/**
 * Where a node is that `namer` told us of, or undefined if we send nothing there. A loopback address means the
 * namer's own machine (as upstream reads it); a private one counts only from somebody inside a private network, or
 * strangers could make us probe ours.
 */
export function reachable(named: Endpoint, namer: Endpoint): Endpoint | undefined {
  if (named.port === 0) return undefined;
  const scope = scopeOf(named.address);
  if (scope === 'loopback') return { address: namer.address, port: named.port };
  // Services that could be made to answer live under 1024; nobody runs a node there.
  if (scope === undefined || named.port < 1024) return undefined;
  return scope === 'public' || scopeOf(namer.address) !== 'public' ? named : undefined;
}
