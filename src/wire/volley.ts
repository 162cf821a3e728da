import { AEAD_TAG_BYTES, aead } from '../util/aead.js';

/** First byte of each packet; neither UDX (0xff) nor STUN (first two bits 0). */
const SEGMENT = 0xa8;
const DATAGRAM = 0xa9;
const REPORT = 0xaa;
const PROBE = 0xab;
const WIDE_SEGMENT = 0xac;
/** Magic and the packet's own length: kernels join what arrives in a row, and the length tells it apart again. */
export const VOLLEY_PREFIX_BYTES = 3;
/** Prefix, token (u32), number (u48), index (u8), count (u8). */
export const SEGMENT_HEADER_BYTES = VOLLEY_PREFIX_BYTES + 4 + 6 + 2;
/** And the share (u16) that all but the last of the volley carry, which is not that of SEGMENT_BYTES. */
const WIDE_HEADER_BYTES = SEGMENT_HEADER_BYTES + 2;
/** What passes everywhere: IPv6 asks for paths of 1280 (RFC 8200 section 5), less its header, UDP's, and 32 to spare. */
export const SEGMENT_BYTES = 1200;
export const SEGMENT_PAYLOAD_BYTES = SEGMENT_BYTES - SEGMENT_HEADER_BYTES;
/** An Ethernet's 1500 less IPv4's header and UDP's. */
export const SEGMENT_MAX_BYTES = 1472;
/** As many as one system call sends: 65 507 bytes and, in kernels before 6.9, 64 of them. */
export const SEGMENTS_MAX = 54;
/** What one system call sends at most. */
export const WIRE_BYTES = 65_507;
/** Ciphertext and plaintext of one volley at most, however it is cut. */
export const SEALED_BYTES = SEGMENTS_MAX * SEGMENT_PAYLOAD_BYTES;
export const VOLLEY_BYTES = SEALED_BYTES - AEAD_TAG_BYTES;

/** One datagram's share of a volley: `data` from `from` to `to`. */
export interface Segment {
  readonly token: number;
  readonly number: number;
  readonly index: number;
  readonly count: number;
  /** Bytes that each segment of the volley carries but the last, which has no more. */
  readonly share: number;
  readonly data: Buffer;
  readonly from: number;
  readonly to: number;
}

/** Who takes what a socket of volleys receives. What it is handed is good until it returns. */
export interface PacketTaker {
  segment(segment: Segment): void;
  datagram(body: Buffer): void;
  /** A report, a probe or its answer: which of them is sealed within. */
  report(body: Buffer): void;
}

/** Bytes of the header of segments of so many bytes. */
function headerBytes(width: number): number {
  return width === SEGMENT_BYTES ? SEGMENT_HEADER_BYTES : WIDE_HEADER_BYTES;
}

/** Bytes that a full segment of so many bytes carries. */
export function shareOf(width: number): number {
  return width - headerBytes(width);
}

/** How many segments a volley of so much plaintext has. */
export function segmentCount(plainBytes: number, width: number = SEGMENT_BYTES): number {
  return Math.ceil((plainBytes + AEAD_TAG_BYTES) / shareOf(width));
}

/** Bytes on the wire of a volley of so much plaintext. */
export function volleyBytes(plainBytes: number, width: number = SEGMENT_BYTES): number {
  return plainBytes + AEAD_TAG_BYTES + segmentCount(plainBytes, width) * headerBytes(width);
}

/** Where volleys are sealed before they are cut, one after the other. */
const space = Buffer.allocUnsafeSlow(SEALED_BYTES);
const nonce = Buffer.alloc(12);

function nonceOf(number: number): Buffer {
  nonce.writeUIntBE(number, 6, 6);
  return nonce;
}

/**
 * Writes a sealed volley as the segments that go out: all of `width` bytes but the last, one behind the other. The
 * ciphertext is ChaCha20-Poly1305 of `plain`, its tag behind it, the nonce the volley's number (RFC 8439 section 2.8).
 * @param wire of {@link volleyBytes}
 */
export function writeVolley(
  wire: Buffer,
  key: Buffer,
  mark: Pick<Segment, 'token' | 'number'>,
  plain: readonly Uint8Array[],
  width: number = SEGMENT_BYTES,
): void {
  const count = Math.ceil(wire.length / width);
  const sealed = space.subarray(0, wire.length - count * headerBytes(width));
  aead().seal(sealed, key, nonceOf(mark.number), plain);
  cutVolley(wire, mark, sealed, width);
}

/** Cuts the segments of a volley anew: the same ciphertext, so nothing is told by it that was not told before. */
export function recutVolley(wire: Buffer, from: number, to: number): Buffer {
  const [header, share] = [headerBytes(from), shareOf(from)];
  let bytes = 0;
  for (let at = 0; at < wire.length; at += from) {
    bytes += wire.copy(space, (at / from) * share, at + header, Math.min(at + from, wire.length));
  }
  const mark = { token: wire.readUInt32BE(3), number: wire.readUIntBE(7, 6) };
  const cut = Buffer.allocUnsafe(volleyBytes(bytes - AEAD_TAG_BYTES, to));
  cutVolley(cut, mark, space.subarray(0, bytes), to);
  return cut;
}

function cutVolley(
  wire: Buffer,
  { token, number }: Pick<Segment, 'token' | 'number'>,
  sealed: Buffer,
  width: number,
): void {
  const wide = width !== SEGMENT_BYTES;
  const [header, share] = [headerBytes(width), shareOf(width)];
  const count = Math.ceil(wire.length / width);
  for (let index = 0; index < count; index++) {
    const at = index * width;
    const length = Math.min(width, wire.length - at);
    wire[at] = wide ? WIDE_SEGMENT : SEGMENT;
    wire.writeUInt16BE(length, at + 1);
    wire.writeUInt32BE(token, at + 3);
    wire.writeUIntBE(number, at + 7, 6);
    wire[at + 13] = index;
    wire[at + 14] = count;
    if (wide) wire.writeUInt16BE(share, at + SEGMENT_HEADER_BYTES);
    const from = index * share;
    wire.set(sealed.subarray(from, from + length - header), at + header);
  }
}

/** Opens a whole volley where it stands; undefined if any of it is not what the peer sealed. */
export function openVolley(key: Buffer, number: number, sealed: Buffer): Buffer | undefined {
  return aead().open(sealed, key, nonceOf(number));
}

const MAGIC = { datagram: DATAGRAM, report: REPORT, probe: PROBE } as const;

/** `magic || length (u16) || body`. */
export function framePacket(kind: 'datagram' | 'report' | 'probe', body: Uint8Array): Buffer {
  const packet = Buffer.allocUnsafe(VOLLEY_PREFIX_BYTES + body.length);
  packet[0] = MAGIC[kind];
  packet.writeUInt16BE(packet.length, 1);
  packet.set(body, VOLLEY_PREFIX_BYTES);
  return packet;
}

/** One for all: there are a million of them in each gigabyte. */
const segment = { token: 0, number: 0, index: 0, count: 0, share: 0, data: space as Buffer, from: 0, to: 0 };

/** Hands over the packets in what one read of a socket gave; whatever is behind the first that is not ours is left out. */
export function readPackets(data: Buffer, taker: PacketTaker, start = 0, limit = data.length): void {
  for (let at = start; at + VOLLEY_PREFIX_BYTES <= limit; ) {
    const magic = data[at];
    const end = at + (((data[at + 1] as number) << 8) | (data[at + 2] as number));
    if (end <= at + VOLLEY_PREFIX_BYTES || end > limit) return;
    if (magic === SEGMENT || magic === WIDE_SEGMENT) {
      if (!readSegment(data, at, end)) return;
      taker.segment(segment);
    } else if (magic === DATAGRAM) taker.datagram(data.subarray(at + VOLLEY_PREFIX_BYTES, end));
    else if (magic === REPORT || magic === PROBE) taker.report(data.subarray(at + VOLLEY_PREFIX_BYTES, end));
    else return;
    at = end;
  }
}

function readSegment(data: Buffer, at: number, end: number): boolean {
  const wide = data[at] === WIDE_SEGMENT;
  const from = at + (wide ? WIDE_HEADER_BYTES : SEGMENT_HEADER_BYTES);
  const bytes = end - from;
  if (bytes <= 0 || end - at > SEGMENT_MAX_BYTES) return false;
  const index = data[at + 13] as number;
  const count = data[at + 14] as number;
  const share = wide ? data.readUInt16BE(at + SEGMENT_HEADER_BYTES) : SEGMENT_PAYLOAD_BYTES;
  if (count > SEGMENTS_MAX || index >= count || (count - 1) * share >= SEALED_BYTES) return false;
  if (index < count - 1 ? bytes !== share : bytes > share) return false;
  if (index * share + bytes > SEALED_BYTES) return false;
  segment.token = data.readUInt32BE(at + 3);
  segment.number = data.readUIntBE(at + 7, 6);
  segment.index = index;
  segment.count = count;
  segment.share = share;
  segment.data = data;
  segment.from = from;
  segment.to = end;
  return true;
}
