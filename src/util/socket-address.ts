import { networkInterfaces } from 'node:os';
import type { Endpoint } from './endpoint.js';
import { addressToBytes } from './ip-bytes.js';

/** Linux' numbers (bits/socket.h). */
export const AF_INET = 2;
export const AF_INET6 = 10;
/** sockaddr_in6, the longer of both. */
export const SOCKET_ADDRESS_BYTES = 28;
const SCOPE_AT = 24;

/** sockaddr_in or sockaddr_in6 (netinet/in.h): the family little-endian as the machines that `libc` knows, port and address in the network's. */
export function socketAddress({ address, port }: Endpoint): Buffer {
  const bytes = addressToBytes(address);
  const six = bytes.length === 16;
  const result = Buffer.alloc(six ? SOCKET_ADDRESS_BYTES : 16);
  result.writeUInt16LE(six ? AF_INET6 : AF_INET);
  result.writeUInt16BE(port, 2);
  result.set(bytes, six ? 8 : 4);
  if (six) result.set(new Uint8Array(Uint32Array.of(scopeOf(address)).buffer), SCOPE_AT);
  return result;
}

/** Whether `other` is the same address and port as `one`, on the same interface where `one` names that. */
export function sameSocketAddress(one: Buffer, other: Buffer): boolean {
  const six = one.readUInt16LE() === AF_INET6;
  if (one.readUInt32LE() !== other.readUInt32LE()) return false;
  if (!six) return one.readUInt32LE(4) === other.readUInt32LE(4);
  for (let at = 8; at < SCOPE_AT; at += 4) if (one.readUInt32LE(at) !== other.readUInt32LE(at)) return false;
  const scope = one.readUInt32LE(SCOPE_AT);
  return scope === 0 || scope === other.readUInt32LE(SCOPE_AT);
}

/** The number of a link-local address' interface. */
function scopeOf(address: string): number {
  const zone = address.split('%')[1];
  if (zone === undefined) return 0;
  const known = networkInterfaces()[zone]?.find((one) => one.family === 'IPv6' && one.scopeid !== 0);
  return known?.family === 'IPv6' ? known.scopeid : Number(zone) || 0;
}
