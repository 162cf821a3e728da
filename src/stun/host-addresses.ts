import { isIP } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';
import { classOf } from './sanity.js';

/** What `networkInterfaces()` of node:os tells. */
export type Interfaces = Readonly<Record<string, readonly NetworkInterfaceInfo[] | undefined>>;

/** Source addresses that the routing table chooses toward the outside; undefined: there is no way out. */
export interface Outbound {
  readonly v4?: string;
  readonly v6?: string;
}

/** More of them tell a peer nothing that it could use, and letters stay small. */
const V4_MAX = 3;
const V6_MAX = 2;
/** Point-to-point interfaces have no hardware address. */
const NO_MAC = '00:00:00:00:00:00';

/**
 * Own addresses of one family that a peer may be told, best first: the outbound one, then those of other networks that this
 * machine is in. Left out are loopback and link-local addresses, and tunnels unless the way out leads through one (a
 * passage inside the VPN that an earlier passage carries would swallow itself). Of IPv6 addresses that all networks
 * can reach only the outbound one is named: it is the temporary one where the system has such (RFC 8981).
 */
export function hostAddresses(interfaces: Interfaces, outbound: Outbound, family: 4 | 6): string[] {
  const first = family === 4 ? outbound.v4 : outbound.v6;
  const found = first !== undefined && isUsable(first) ? [first] : [];
  for (const list of Object.values(interfaces)) {
    for (const { address, internal, mac } of list ?? []) {
      if (internal || mac === NO_MAC || isIP(address) !== family || !isUsable(address)) continue;
      if (family === 6 && classOf(address) === 'public') continue;
      if (!found.includes(address)) found.push(address);
    }
  }
  return found.slice(0, family === 4 ? V4_MAX : V6_MAX);
}

function isUsable(address: string): boolean {
  const kind = classOf(address);
  return kind === 'public' || kind === 'private';
}
