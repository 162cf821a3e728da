import { isIP } from 'node:net';

/** An IP address (never a name) and a UDP or TCP port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** 4 or 6, of an address that {@link isIP} knows: only those of IPv6 hold colons. */
export function familyOf(endpoint: Endpoint): 4 | 6 {
  return endpoint.address.includes(':') ? 6 : 4;
}

/** `1.2.3.4:5` or `[2001:db8::1]:5`. */
export function formatEndpoint(endpoint: Endpoint): string {
  return familyOf(endpoint) === 6
    ? `[${endpoint.address}]:${endpoint.port}`
    : `${endpoint.address}:${endpoint.port}`;
}

/** Reads what {@link formatEndpoint} writes; undefined if it is anything else. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text);
  const address = match?.[1] ?? match?.[2];
  if (!match || address === undefined) return undefined;
  const port = Number(match[3]);
  if (port > 65535 || isIP(address) !== (match[1] === undefined ? 4 : 6)) return undefined;
  return { address, port };
}

/** `to` as a socket bound to `local` sends there: one of IPv6 takes IPv4 peers in their mapped form only. */
export function asSeenFrom(local: Endpoint, to: Endpoint): Endpoint {
  const mapped = familyOf(local) === 6 && familyOf(to) === 4;
  return mapped ? { address: `::ffff:${to.address}`, port: to.port } : to;
}

/** Same address and port, compared as text: endpoints come from the kernel or from canonicalising parsers. */
export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && a.address === b.address;
}
