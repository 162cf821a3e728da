import { isIP, SocketAddress } from 'node:net';

/** What stands before an IPv4 address in one of IPv6 (RFC 4291 section 2.5.5.2). */
export const IPV4_MAPPED = Buffer.from('00000000000000000000ffff', 'hex');

/**
 * Network-order octets of an IP address: 4 of IPv4, 16 of IPv6; a zone (`%eth0`) is dropped.
 * @throws RangeError if `address` is not an IP address
 */
export function addressToBytes(address: string): Buffer {
  const plain = address.split('%', 1)[0] ?? '';
  const family = isIP(plain);
  if (family === 4) return Buffer.from(plain.split('.').map(Number));
  if (family !== 6) throw new RangeError(`not an IP address: ${address}`);
  const [head = '', tail] = plain.split('::', 2);
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  return Buffer.from([...front, ...new Array<number>(16 - front.length - back.length).fill(0), ...back]);
}

function groups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >>> 8, value & 0xff];
  });
}

/** Text of 4 or 16 octets, spelled as the kernel spells it (RFC 5952), so that text can be compared. */
export function bytesToAddress(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const hex = Buffer.from(bytes).toString('hex');
  const address = hex.replace(/(.{4})(?!$)/g, '$1:');
  return new SocketAddress({ address, family: 'ipv6' }).address;
}

/** 16 octets of an address of either family, IPv4 in its mapped form. @throws RangeError as {@link addressToBytes} */
export function addressToBytes16(address: string): Buffer {
  const bytes = addressToBytes(address);
  return bytes.length === 4 ? Buffer.concat([IPV4_MAPPED, bytes]) : bytes;
}

/** Text of 16 octets; of a mapped IPv4 address the dotted one. */
export function bytes16ToAddress(bytes: Buffer): string {
  const mapped = bytes.subarray(0, IPV4_MAPPED.length).equals(IPV4_MAPPED);
  return bytesToAddress(mapped ? bytes.subarray(IPV4_MAPPED.length) : bytes);
}
