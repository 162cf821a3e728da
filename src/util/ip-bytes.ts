import { isIP, SocketAddress } from 'node:net';

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
