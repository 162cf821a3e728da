import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { errorText } from '../../errors.js';
import { formatHostPort, type HostPort } from '../../util/host-port.js';
import { lookupName } from '../../util/name-lookup.js';
import { deadline } from '../../util/sleep.js';
import type { DhtAddress } from './library.js';
import { DHT_NAME_MS } from './limits.js';

/** "This network", multicast, reserved and broadcast, RFC 6890: nobody can be there. */
const NOBODY = blockList('0.0.0.0/8', '224.0.0.0/3');
/** Loopback, link-local, private use and shared address space, RFC 6890. */
const PRIVATE = blockList(
  ...['10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16'],
);

function blockList(...nets: readonly string[]): BlockList {
  const list = new BlockList();
  for (const net of nets) {
    const [address = '', prefix = ''] = net.split('/');
    list.addSubnet(address, Number(prefix), 'ipv4');
  }
  return list;
}

/** True for an address that is routed in one house only. */
export function isPrivate(host: string): boolean {
  return PRIVATE.check(host, 'ipv4');
}

/** True if a stranger may name this as a node to ask; private ones only in networks that are themselves private. */
export function isPlausible({ host, port }: DhtAddress, inPrivate: boolean): boolean {
  if (!isIPv4(host) || port < 1 || NOBODY.check(host, 'ipv4')) return false;
  return inPrivate || !isPrivate(host);
}

/** `address@name:port`, as the library writes its public nodes. */
export function publicAddress(text: string): DhtAddress {
  const [, host = '', port = ''] = /^([\d.]+)(?:@[^:]*)?:(\d+)$/.exec(text) ?? [];
  return { host, port: Number(port) };
}

/**
 * IPv4 addresses of servers, for HyperDHT would look names up at each query and cannot be stopped doing it.
 * @throws what `failed` makes of the last reason, when no name is known; the signal's reason
 */
export async function resolveAll(
  servers: readonly HostPort[],
  signal: AbortSignal,
  failed: (names: readonly string[], why: string, cause: unknown) => Error,
): Promise<DhtAddress[]> {
  let failure: unknown;
  const limit = deadline(DHT_NAME_MS, () => new Error('the name server is silent'), signal);
  const found = await Promise.all(
    servers.map(async ({ host, port }) => {
      if (isIPv4(host)) return { host, port };
      try {
        if (isIPv6(host)) throw new Error('HyperDHT speaks IPv4 only');
        return { host: await lookupName(host, 4, limit.signal), port };
      } catch (error) {
        failure = limit.signal.aborted ? limit.signal.reason : error;
        return undefined;
      }
    }),
  );
  limit.dispose();
  signal.throwIfAborted();
  const known = found.flatMap((address) => (address ? [address] : []));
  if (known.length > 0) return known;
  throw failed(servers.map(formatHostPort), errorText(failure), failure);
}

/** This machine's IPv4 addresses. */
export function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((list = []) =>
    list.filter(({ family }) => family === 'IPv4').map(({ address }) => address),
  );
}

/** The address by which others most likely reach this machine: a public one, else any, else loopback. */
export function outwardAddress(): string {
  const outer = ownAddresses().filter((address) => !address.startsWith('127.'));
  return outer.find((address) => !isPrivate(address)) ?? outer[0] ?? '127.0.0.1';
}
