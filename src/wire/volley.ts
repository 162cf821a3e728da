import { createCipheriv, createDecipheriv } from 'node:crypto';
import { counterNonce, TUNNEL_TAG_BYTES } from './tunnel-record.js';

const CIPHER = 'chacha20-poly1305';
const OPTIONS = { authTagLength: TUNNEL_TAG_BYTES } as const;
/** First byte of each packet; neither UDX (0xff) nor STUN (first two bits 0). */
const SEGMENT = 0xa8;
const DATAGRAM = 0xa9;
const REPORT = 0xaa;
/** Magic and the packet's own length: kernels join what arrives in a row, and the length tells it apart again. */
export const VOLLEY_PREFIX_BYTES = 3;
/** Prefix, token (u32), number (u48), index (u8), count (u8). */
export const SEGMENT_HEADER_BYTES = VOLLEY_PREFIX_BYTES + 4 + 6 + 2;
/** What passes everywhere: IPv6 asks for paths of 1280 (RFC 8200 section 5), less its header, UDP's, and 32 to spare. */
export const SEGMENT_BYTES = 1200;
export const SEGMENT_PAYLOAD_BYTES = SEGMENT_BYTES - SEGMENT_HEADER_BYTES;
/** As many as one system call sends: 65 507 bytes and, in kernels before 6.9, 64 of them. */
export const SEGMENTS_MAX = 54;
/** Encrypted at a time: what stays in a processor's nearest memory, and what allocators give quickly. */
const CIPHER_BYTES = 16 * 1024;
/** Plaintext of one volley at most. */
export const VOLLEY_BYTES = SEGMENTS_MAX * SEGMENT_PAYLOAD_BYTES - TUNNEL_TAG_BYTES;

/** One datagram's share of a volley. */
export interface Segment {
  readonly token: number;
  readonly number: number;
  readonly index: number;
  readonly count: number;
  readonly payload: Buffer;
}

/** What a socket of volleys receives, told apart. */
export type VolleyPacket =
  | { readonly kind: 'segment'; readonly segment: Segment }
  | { readonly kind: 'datagram' | 'report'; readonly body: Buffer };

/** How many segments a volley of so much plaintext has. */
export function segmentCount(plainBytes: number): number {
  return Math.ceil((plainBytes + TUNNEL_TAG_BYTES) / SEGMENT_PAYLOAD_BYTES);
}

/** Bytes on the wire of a volley of so much plaintext. */
export function volleyBytes(plainBytes: number): number {
  return plainBytes + TUNNEL_TAG_BYTES + segmentCount(plainBytes) * SEGMENT_HEADER_BYTES;
}

/**
 * Writes a sealed volley as the segments that go out: all of SEGMENT_BYTES but the last, one behind the other. The
 * ciphertext is ChaCha20-Poly1305 of `plain`, its tag behind it, the nonce the volley's number (RFC 8439 section 2.8).
 * @param wire of {@link volleyBytes}
 */
export function writeVolley(
  wire: Buffer,
  key: Buffer,
  { token, number }: Pick<Segment, 'token' | 'number'>,
  plain: readonly Uint8Array[],
): void {
  const cipher = createCipheriv(CIPHER, key, counterNonce(number), OPTIONS);
  const count = Math.ceil(wire.length / SEGMENT_BYTES);
  let index = 0;
  let at = 0;
  let room = 0;
  const put = (bytes: Buffer) => {
    for (let from = 0; from < bytes.length; ) {
      if (room === 0) {
        const length = Math.min(SEGMENT_BYTES, wire.length - at);
        wire[at] = SEGMENT;
        wire.writeUInt16BE(length, at + 1);
        wire.writeUInt32BE(token, at + 3);
        wire.writeUIntBE(number, at + 7, 6);
        wire[at + 13] = index;
        wire[at + 14] = count;
        index += 1;
        at += SEGMENT_HEADER_BYTES;
        room = length - SEGMENT_HEADER_BYTES;
      }
      const taken = Math.min(room, bytes.length - from);
      bytes.copy(wire, at, from, from + taken);
      from += taken;
      at += taken;
      room -= taken;
    }
  };
  for (const piece of plain) {
    for (let from = 0; from < piece.length; from += CIPHER_BYTES) {
      put(cipher.update(piece.subarray(from, from + CIPHER_BYTES)));
    }
  }
  cipher.final();
  put(cipher.getAuthTag());
}

/** The plaintext of a whole volley in pieces, or undefined if any of it is not what the peer sealed. */
export function openVolley(key: Buffer, number: number, sealed: Buffer): Buffer[] | undefined {
  if (sealed.length < TUNNEL_TAG_BYTES) return undefined;
  const end = sealed.length - TUNNEL_TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, key, counterNonce(number), OPTIONS);
  decipher.setAuthTag(sealed.subarray(end));
  const plain: Buffer[] = [];
  for (let from = 0; from < end; from += CIPHER_BYTES) {
    plain.push(decipher.update(sealed.subarray(from, Math.min(end, from + CIPHER_BYTES))));
  }
  try {
    decipher.final();
    return plain;
  } catch {
    return undefined;
  }
}

/** `magic || length (u16) || body`. */
export function framePacket(kind: 'datagram' | 'report', body: Uint8Array): Buffer {
  const packet = Buffer.allocUnsafe(VOLLEY_PREFIX_BYTES + body.length);
  packet[0] = kind === 'datagram' ? DATAGRAM : REPORT;
  packet.writeUInt16BE(packet.length, 1);
  packet.set(body, VOLLEY_PREFIX_BYTES);
  return packet;
}

/** The packets in what one read of a socket gave; whatever is behind the first that is not ours is left out. */
export function* splitPackets(data: Buffer): Generator<VolleyPacket, void> {
  for (let at = 0; at + VOLLEY_PREFIX_BYTES <= data.length; ) {
    const magic = data[at];
    const end = at + data.readUInt16BE(at + 1);
    if (end <= at + VOLLEY_PREFIX_BYTES || end > data.length) return;
    if (magic === SEGMENT) {
      const segment = readSegment(data, at, end);
      if (!segment) return;
      yield { kind: 'segment', segment };
    } else if (magic === DATAGRAM || magic === REPORT) {
      const kind = magic === DATAGRAM ? 'datagram' : 'report';
      yield { kind, body: data.subarray(at + VOLLEY_PREFIX_BYTES, end) };
    } else {
      return;
    }
    at = end;
  }
}

function readSegment(data: Buffer, at: number, end: number): Segment | undefined {
  const length = end - at;
  if (length <= SEGMENT_HEADER_BYTES || length > SEGMENT_BYTES) return undefined;
  const index = data[at + 13] as number;
  const count = data[at + 14] as number;
  if (count > SEGMENTS_MAX || index >= count) return undefined;
  if (index < count - 1 && length !== SEGMENT_BYTES) return undefined;
  return {
    token: data.readUInt32BE(at + 3),
    number: data.readUIntBE(at + 7, 6),
    index,
    count,
    payload: data.subarray(at + SEGMENT_HEADER_BYTES, end),
  };
}
