import { isIP } from 'node:net';
import { addressToBytes, bytesToAddress, IPV4_MAPPED } from '../util/ip-bytes.js';

const LOOPBACK_V4 = '127.0.0.1';
const LOOPBACK_V6 = '::1';
/** IPv6 prefixes that carry an IPv4 address: mapped and NAT64 (RFC 4291, 6052) at byte 12, 6to4 (RFC 3056) at byte 2. */
const WRAPPERS: readonly (readonly [prefix: Buffer, at: number])[] = [
  [IPV4_MAPPED, 12],
  [Buffer.from('0064ff9b0000000000000000', 'hex'), 12],
  [Buffer.alloc(12), 12],
  [Buffer.from('2002', 'hex'), 2],
];

/**
 * One spelling for each place that a destination may name: names in lower case without trailing dots, IPv6 as RFC 5952
 * spells it and without zone, IPv4 dotted whatever `inet_aton` makes of it (`0x7f.1`, `017700000001`), IPv4-mapped
 * IPv6 as IPv4. Nothing, `0.0.0.0` and `::` lead to this machine itself, so they are its loopback.
 */
export function normaliseHost(text: string): string {
  const host = text
    .trim()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.+$/, '')
    .replace(/%.*$/, '')
    .toLowerCase();
  const address = isIP(host) === 0 ? readInetAton(host) : bytesToAddress(addressToBytes(host));
  if (host === '' || address === '0.0.0.0') return LOOPBACK_V4;
  if (address === undefined) return host;
  if (isIP(address) === 4) return address;
  const bytes = addressToBytes(address);
  if (bytes.subarray(0, 12).equals(IPV4_MAPPED)) return normaliseHost(bytesToAddress(bytes.subarray(12)));
  return address === '::' ? LOOPBACK_V6 : address;
}

/**
 * Every address by which a rule may have closed the same place, the normalised one first: both loopbacks for
 * everything that ends at this machine (127/8, `own` addresses), and the IPv4 address that an IPv6 one wraps.
 * @param own addresses of this machine
 */
export function aliasesOf(host: string, own: readonly string[] = []): string[] {
  const normal = normaliseHost(host);
  const aliases = [normal];
  if (isIP(normal) === 6) {
    const bytes = addressToBytes(normal);
    for (const [prefix, at] of WRAPPERS) {
      const wraps = bytes.subarray(0, prefix.length).equals(prefix) && normal !== LOOPBACK_V6;
      if (wraps) aliases.push(normaliseHost(bytesToAddress(bytes.subarray(at, at + 4))));
    }
  }
  const local = (one: string) =>
    one === LOOPBACK_V6 || (isIP(one) === 4 && one.startsWith('127.')) || own.includes(one);
  if (aliases.some(local)) aliases.push(LOOPBACK_V4, LOOPBACK_V6);
  return [...new Set(aliases)];
}

/** What C libraries take for an IPv4 address: one to four numbers, decimal, octal or hexadecimal. */
function readInetAton(text: string): string | undefined {
  const parts = text.split('.');
  if (parts.length > 4) return undefined;
  const numbers = parts.map((part) => {
    if (/^0x[0-9a-f]*$/.test(part)) return Number.parseInt(`0${part.slice(2)}`, 16);
    if (/^0[0-7]*$/.test(part)) return Number.parseInt(part, 8);
    return /^[1-9][0-9]*$/.test(part) ? Number(part) : Number.NaN;
  });
  const last = numbers.pop() ?? Number.NaN;
  const whole = numbers.every((number) => number <= 255) && last < 256 ** (4 - numbers.length);
  if (!whole) return undefined;
  const head = numbers.reduce((sum, number, at) => sum + number * 256 ** (3 - at), 0);
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(head + last);
  return bytes.join('.');
}
