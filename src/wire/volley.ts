import { AEAD_TAG_BYTES, aead } from '../util/aead.js';

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
/** Ciphertext and plaintext of one volley at most. */
export const SEALED_BYTES = SEGMENTS_MAX * SEGMENT_PAYLOAD_BYTES;
export const VOLLEY_BYTES = SEALED_BYTES - AEAD_TAG_BYTES;

/** One datagram's share of a volley: `data` from `from` to `to`. */
export interface Segment {
  readonly token: number;
  readonly number: number;
  readonly index: number;
  readonly count: number;
  readonly data: Buffer;
  readonly from: number;
  readonly to: number;
}

/** Who takes what a socket of volleys receives. What it is handed is good until it returns. */
export interface PacketTaker {
  segment(segment: Segment): void;
  datagram(body: Buffer): void;
  report(body: Buffer): void;
}

/** How many segments a volley of so much plaintext has. */
export function segmentCount(plainBytes: number): number {
  return Math.ceil((plainBytes + AEAD_TAG_BYTES) / SEGMENT_PAYLOAD_BYTES);
}

/** Bytes on the wire of a volley of so much plaintext. */
export function volleyBytes(plainBytes: number): number {
  return plainBytes + AEAD_TAG_BYTES + segmentCount(plainBytes) * SEGMENT_HEADER_BYTES;
}

/** Where volleys are sealed before they are cut, one after the other. */
const space = Buffer.allocUnsafeSlow(SEALED_BYTES);
const nonce = Buffer.alloc(12);

function nonceOf(number: number): Buffer {
  nonce.writeUIntBE(number, 6, 6);
  return nonce;
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
  const count = Math.ceil(wire.length / SEGMENT_BYTES);
  const sealed = space.subarray(0, wire.length - count * SEGMENT_HEADER_BYTES);
  aead().seal(sealed, key, nonceOf(number), plain);
  for (let index = 0; index < count; index++) {
    const at = index * SEGMENT_BYTES;
    const length = Math.min(SEGMENT_BYTES, wire.length - at);
    wire[at] = SEGMENT;
    wire.writeUInt16BE(length, at + 1);
    wire.writeUInt32BE(token, at + 3);
    wire.writeUIntBE(number, at + 7, 6);
    wire[at + 13] = index;
    wire[at + 14] = count;
    const from = index * SEGMENT_PAYLOAD_BYTES;
    wire.set(sealed.subarray(from, from + length - SEGMENT_HEADER_BYTES), at + SEGMENT_HEADER_BYTES);
  }
}

/** Opens a whole volley where it stands; undefined if any of it is not what the peer sealed. */
export function openVolley(key: Buffer, number: number, sealed: Buffer): Buffer | undefined {
  return aead().open(sealed, key, nonceOf(number));
}

/** `magic || length (u16) || body`. */
export function framePacket(kind: 'datagram' | 'report', body: Uint8Array): Buffer {
  const packet = Buffer.allocUnsafe(VOLLEY_PREFIX_BYTES + body.length);
  packet[0] = kind === 'datagram' ? DATAGRAM : REPORT;
  packet.writeUInt16BE(packet.length, 1);
  packet.set(body, VOLLEY_PREFIX_BYTES);
  return packet;
}

/** One for all: there are a million of them in each gigabyte. */
const segment = { token: 0, number: 0, index: 0, count: 0, data: space as Buffer, from: 0, to: 0 };

/** Hands over the packets in what one read of a socket gave; whatever is behind the first that is not ours is left out. */
export function readPackets(data: Buffer, taker: PacketTaker, start = 0, limit = data.length): void {
  for (let at = start; at + VOLLEY_PREFIX_BYTES <= limit; ) {
    const magic = data[at];
    const end = at + (((data[at + 1] as number) << 8) | (data[at + 2] as number));
    if (end <= at + VOLLEY_PREFIX_BYTES || end > limit) return;
    if (magic === SEGMENT) {
      if (!readSegment(data, at, end)) return;
      taker.segment(segment);
    } else if (magic === DATAGRAM) taker.datagram(data.subarray(at + VOLLEY_PREFIX_BYTES, end));
    else if (magic === REPORT) taker.report(data.subarray(at + VOLLEY_PREFIX_BYTES, end));
    else return;
    at = end;
  }
}

function readSegment(data: Buffer, at: number, end: number): boolean {
  const length = end - at;
  if (length <= SEGMENT_HEADER_BYTES || length > SEGMENT_BYTES) return false;
  const index = data[at + 13] as number;
  const count = data[at + 14] as number;
  if (count > SEGMENTS_MAX || index >= count) return false;
  if (index < count - 1 && length !== SEGMENT_BYTES) return false;
  segment.token = data.readUInt32BE(at + 3);
  segment.number = data.readUIntBE(at + 7, 6);
  segment.index = index;
  segment.count = count;
  segment.data = data;
  segment.from = at + SEGMENT_HEADER_BYTES;
  segment.to = end;
  return true;
}
