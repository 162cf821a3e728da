import { isIPv4, isIPv6 } from 'node:net';
import type { Endpoint } from '../util/endpoint.js';

export interface TargetOptions {
  /** Allow RFC 1918, carrier-grade and unique-local addresses: peers of one LAN, or of a lab. */
  readonly allowPrivate?: boolean;
  /** Allow 127/8 and ::1: demo and tests on one machine. */
  readonly allowLoopback?: boolean;
}

type Range = 'never' | 'private' | 'loopback';

/** IANA special-purpose registries (RFC 6890). Documentation ranges are left out: awl counts them as public. */
const V4_RANGES: readonly (readonly [string, number, Range, string])[] = [
  ['0.0.0.0', 8, 'never', 'an unspecified address'],
  ['10.0.0.0', 8, 'private', 'a private address'],
  ['100.64.0.0', 10, 'private', 'a carrier-grade NAT address'],
  ['127.0.0.0', 8, 'loopback', 'a loopback address'],
  ['169.254.0.0', 16, 'never', 'a link-local address'],
  ['172.16.0.0', 12, 'private', 'a private address'],
  ['192.0.0.0', 24, 'never', 'a protocol assignment'],
  ['192.88.99.0', 24, 'never', 'a 6to4 relay'],
  ['192.168.0.0', 16, 'private', 'a private address'],
  ['198.18.0.0', 15, 'private', 'a benchmarking address'],
  ['224.0.0.0', 4, 'never', 'a multicast address'],
  ['240.0.0.0', 4, 'never', 'a reserved or broadcast address'],
];

const V6_RANGES: readonly (readonly [string, number, Range, string])[] = [
  ['::1', 128, 'loopback', 'a loopback address'],
  ['fc00::', 7, 'private', 'a unique local address'],
  ['fe80::', 10, 'never', 'a link-local address'],
  ['ff00::', 8, 'never', 'a multicast address'],
  // Teredo, ORCHID and the rest of the protocol assignments; a Teredo address hides an IPv4 one.
  ['2001::', 23, 'never', 'a protocol assignment'],
  // RFC 8215: the operator chooses where inside it the IPv4 address sits, so it cannot be checked.
  ['64:ff9b:1::', 48, 'never', 'a local NAT64 address'],
];

/** Prefixes that wrap an IPv4 address: the datagram ends up there, so that one is judged too. Offset in bytes. */
const V6_WRAPPERS: readonly (readonly [string, number, number])[] = [
  ['2002::', 16, 2],
  ['64:ff9b::', 96, 12],
];

function bytes4(text: string): number[] {
  return text.split('.').map(Number);
}

/** The 16 bytes of an address that {@link isIPv6} accepts and that has no zone. */
function bytes6(text: string): number[] {
  const dotted = /^(.*:)([0-9.]+)$/.exec(text);
  const inner = dotted?.[2]?.includes('.') ? bytes4(dotted[2]) : undefined;
  const hex = inner ? `${dotted?.[1]}0:0` : text;
  const [head = '', tail] = hex.split('::');
  const groups = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const middle = new Array<number>(8 - left.length - right.length).fill(0);
  const bytes = [...left, ...middle, ...right].flatMap((group) => [group >> 8, group & 0xff]);
  return inner ? [...bytes.slice(0, 12), ...inner] : bytes;
}

function matches(address: readonly number[], prefix: readonly number[], bits: number): boolean {
  for (let at = 0; at < bits; at += 8) {
    const mask = (0xff << Math.max(0, 8 - (bits - at))) & 0xff;
    if (((address[at >> 3] ?? 0) ^ (prefix[at >> 3] ?? 0)) & mask) return false;
  }
  return true;
}

const COMPILED_V4 = V4_RANGES.map(([text, bits, range, name]) => ({
  prefix: bytes4(text),
  bits,
  range,
  name,
}));
const COMPILED_V6 = V6_RANGES.map(([text, bits, range, name]) => ({
  prefix: bytes6(text),
  bits,
  range,
  name,
}));
const COMPILED_WRAPPERS = V6_WRAPPERS.map(([text, bits, at]) => ({ prefix: bytes6(text), bits, at }));
const MAPPED = bytes6('::ffff:0:0');
const COMPATIBLE = bytes6('::');
const GLOBAL_UNICAST = bytes6('2000::');

function text6(bytes: readonly number[]): string {
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2)
    groups.push((((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16));
  // The URL parser prints RFC 5952 text; writing that compression a second time would only add a bug.
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

/**
 * One spelling per address: RFC 5952 for IPv6, dotted IPv4 for IPv4 and for IPv6 that maps it (::ffff:1.2.3.4).
 * Undefined for what is no address, and for zones (`%eth0`), which name an interface and not a place.
 */
export function canonicalAddress(address: string): string | undefined {
  if (isIPv4(address)) return address;
  if (!isIPv6(address) || address.includes('%')) return undefined;
  const bytes = bytes6(address);
  return matches(bytes, MAPPED, 96) ? bytes.slice(12).join('.') : text6(bytes);
}

/** {@link canonicalAddress} of an endpoint; undefined also where the port is no port. */
export function canonicalEndpoint(endpoint: Endpoint): Endpoint | undefined {
  const address = canonicalAddress(endpoint.address);
  if (address === undefined || !Number.isInteger(endpoint.port)) return undefined;
  if (endpoint.port < 0 || endpoint.port > 65_535) return undefined;
  return { address, port: endpoint.port };
}

function forbids(range: Range, o: TargetOptions): boolean {
  if (range === 'private') return !o.allowPrivate;
  return range === 'never' || !o.allowLoopback;
}

function why4(bytes: readonly number[], o: TargetOptions): string | undefined {
  const hit = COMPILED_V4.find(({ prefix, bits }) => matches(bytes, prefix, bits));
  return hit && forbids(hit.range, o) ? hit.name : undefined;
}

function why6(bytes: readonly number[], o: TargetOptions): string | undefined {
  const hit = COMPILED_V6.find(({ prefix, bits }) => matches(bytes, prefix, bits));
  if (hit) return forbids(hit.range, o) ? hit.name : undefined;
  if (matches(bytes, COMPATIBLE, 96)) return 'an unspecified or IPv4-compatible address';
  const wrapper = COMPILED_WRAPPERS.find(({ prefix, bits }) => matches(bytes, prefix, bits));
  if (wrapper) {
    // Private inside a wrapper is a detour around somebody's border: no option allows it.
    const inner = why4(bytes.slice(wrapper.at, wrapper.at + 4), {});
    return inner === undefined ? undefined : `${inner} inside an IPv6 one`;
  }
  return matches(bytes, GLOBAL_UNICAST, 3) ? undefined : 'not a global address';
}

/**
 * Why awl sends nothing to `endpoint`, as the end of a sentence ("a loopback address"); undefined if it may.
 * Judged after {@link canonicalAddress}. Ports under 1024 are refused always: no NAT maps a peer there
 * (RFC 4787 REQ-3), but services that could be made to answer live there.
 */
export function whyRefused(endpoint: Endpoint, o: TargetOptions = {}): string | undefined {
  const target = canonicalEndpoint(endpoint);
  if (!target) return 'not an IP address and port';
  if (target.port < 1024) return 'a port under 1024';
  return isIPv4(target.address) ? why4(bytes4(target.address), o) : why6(bytes6(target.address), o);
}

/** May a datagram be sent to an address that a message or an unauthenticated datagram named? */
export function isAllowedTarget(endpoint: Endpoint, o: TargetOptions = {}): boolean {
  return whyRefused(endpoint, o) === undefined;
}
