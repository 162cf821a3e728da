import { createHmac } from 'node:crypto';
import type { Endpoint } from '../util/endpoint.js';
import { addressToBytes16, bytes16ToAddress } from '../util/ip-bytes.js';

/** Port (2) and address (16). */
export const SEEN_BYTES = 18;

const TYPE_SEEN = Buffer.of(5);

/** Where a peer was seen, in clear: port (u16, big-endian), then the address, IPv4 in its mapped form. */
export function seenBytes({ address, port }: Endpoint): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(port);
  return Buffer.concat([head, addressToBytes16(address)]);
}

/** Reads {@link seenBytes}; undefined for port 0 or another length. */
export function readSeen(bytes: Uint8Array): Endpoint | undefined {
  if (bytes.length !== SEEN_BYTES) return undefined;
  const data = Buffer.from(bytes);
  const port = data.readUInt16BE(0);
  return port === 0 ? undefined : { address: bytes16ToAddress(data.subarray(2)), port };
}

/**
 * XOR with the first 18 bytes of HMAC-SHA-256(frame key, 0x05 || nonce), both ways: NATs that rewrite addresses in
 * payloads find none (RFC 8489 section 14.2 masks them for the same reason).
 */
export function maskSeen(key: Uint8Array, nonce: Uint8Array, bytes: Uint8Array): Buffer {
  const mask = createHmac('sha256', key).update(TYPE_SEEN).update(nonce).digest();
  return Buffer.from(bytes.map((byte, at) => byte ^ (mask[at] ?? 0)));
}
