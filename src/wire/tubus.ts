import {
  TUBUS_HEADER_BYTES,
  TUBUS_PACKET_BYTES,
  TUBUS_RECEIVE_MAX_BYTES,
  TUBUS_SIGN,
  TUBUS_VERSION,
} from './tubus-constants.js';
import { maskDatagram, unmaskDatagram } from './tubus-mask.js';

/** Section types of tubus (spec plexus h.1); an echo is its question's type with bit 0 set. */
const TYPES = {
  link: 2,
  'link-echo': 3,
  tear: 4,
  'tear-echo': 5,
  ping: 6,
  'ping-echo': 7,
  move: 8,
  'move-echo': 9,
  edge: 10,
  'edge-echo': 11,
} as const;

/** Absolute stream offsets are numbers: 2^53 bytes are 9 PB. A ping's value is the pinging side's own affair. */
export type TubusSection =
  | { readonly type: 'link' | 'link-echo' | 'tear' | 'tear-echo' }
  | { readonly type: 'ping'; readonly value: bigint }
  | { readonly type: 'ping-echo'; readonly value: bigint }
  | { readonly type: 'edge'; readonly offset: number }
  | { readonly type: 'edge-echo'; readonly offset: number }
  | { readonly type: 'move-echo'; readonly offset: number }
  | { readonly type: 'move'; readonly offset: number; readonly data: Buffer };

export interface TubusPacket {
  /** Names the sender's connection; never 0. */
  readonly pin: number;
  readonly sections: readonly TubusSection[];
}

const SECTION_HEADER_BYTES = 4;
const VALUE_BYTES = 8;

/** What a section takes in a datagram, in bytes. */
export function sectionBytes(section: TubusSection): number {
  switch (section.type) {
    case 'link':
    case 'link-echo':
    case 'tear':
    case 'tear-echo':
      return SECTION_HEADER_BYTES;
    case 'move':
      return SECTION_HEADER_BYTES + VALUE_BYTES + section.data.length;
    default:
      return SECTION_HEADER_BYTES + VALUE_BYTES;
  }
}

/** Stream bytes that fit into one move of an otherwise empty datagram of that size. */
export function moveCapacity(packetBytes = TUBUS_PACKET_BYTES): number {
  return packetBytes - TUBUS_HEADER_BYTES - SECTION_HEADER_BYTES - VALUE_BYTES;
}

/**
 * One datagram, big-endian: salt u64, sign u16 0x0909, version u16 0x0102, pin u32, then sections of type u16,
 * length u16 and value; masked unless `secret` is 0 (spec plexus h.1).
 * @param salt random 64 bits, fresh for each datagram
 */
export function encodeTubus(packet: TubusPacket, secret: bigint, salt: bigint): Buffer {
  let size = TUBUS_HEADER_BYTES;
  for (const section of packet.sections) size += sectionBytes(section);
  const out = Buffer.allocUnsafe(size);
  out.writeUInt16BE(TUBUS_SIGN, 8);
  out.writeUInt16BE(TUBUS_VERSION, 10);
  out.writeUInt32BE(packet.pin, 12);
  let at = TUBUS_HEADER_BYTES;
  for (const section of packet.sections) {
    const bytes = sectionBytes(section);
    out.writeUInt16BE(TYPES[section.type], at);
    out.writeUInt16BE(bytes - SECTION_HEADER_BYTES, at + 2);
    writeValue(section, out, at + SECTION_HEADER_BYTES);
    at += bytes;
  }
  maskDatagram(out, secret, salt);
  return out;
}

function writeValue(section: TubusSection, out: Buffer, at: number): void {
  if ('value' in section) out.writeBigUInt64BE(section.value, at);
  if (!('offset' in section)) return;
  out.writeUInt32BE(Math.floor(section.offset / 0x1_0000_0000), at);
  out.writeUInt32BE(section.offset % 0x1_0000_0000, at + 4);
  if (section.type === 'move') section.data.copy(out, at + VALUE_BYTES);
}

/** A u64 as number; undefined beyond 2^53, where no honest stream gets. */
function readOffset(plain: Buffer, at: number): number | undefined {
  const offset = plain.readUInt32BE(at) * 0x1_0000_0000 + plain.readUInt32BE(at + 4);
  return Number.isSafeInteger(offset) ? offset : undefined;
}

/**
 * Reads a section's value. `skip` for types nobody knows, undefined for a wrong length or offset. The bytes of a
 * move are a view of `plain`.
 */
function readSection(
  type: number,
  plain: Buffer,
  at: number,
  length: number,
): TubusSection | 'skip' | undefined {
  switch (type) {
    case TYPES.link:
      return { type: 'link' };
    case TYPES['link-echo']:
      return { type: 'link-echo' };
    case TYPES.tear:
      return { type: 'tear' };
    case TYPES['tear-echo']:
      return { type: 'tear-echo' };
    case TYPES.ping:
    case TYPES['ping-echo']:
      if (length !== VALUE_BYTES) return undefined;
      return { type: type === TYPES.ping ? 'ping' : 'ping-echo', value: plain.readBigUInt64BE(at) };
    case TYPES.move:
    case TYPES['move-echo']:
    case TYPES.edge:
    case TYPES['edge-echo']:
      return readOffsetSection(type, plain, at, length);
    default:
      return 'skip';
  }
}

function readOffsetSection(
  type: number,
  plain: Buffer,
  at: number,
  length: number,
): TubusSection | undefined {
  const isMove = type === TYPES.move;
  if (isMove ? length < VALUE_BYTES : length !== VALUE_BYTES) return undefined;
  const offset = readOffset(plain, at);
  if (offset === undefined) return undefined;
  if (isMove) return { type: 'move', offset, data: plain.subarray(at + VALUE_BYTES, at + length) };
  if (type === TYPES['move-echo']) return { type: 'move-echo', offset };
  return { type: type === TYPES.edge ? 'edge' : 'edge-echo', offset };
}

/**
 * Reads what {@link encodeTubus} writes, of either version's size. Undefined for anything else: wrong secret, sign
 * or version, pin 0, a section that overruns the datagram. Type 0 ends the sections; unknown types are skipped.
 */
export function decodeTubus(data: Uint8Array, secret: bigint): TubusPacket | undefined {
  if (data.length < TUBUS_HEADER_BYTES || data.length > TUBUS_RECEIVE_MAX_BYTES) return undefined;
  const { plain } = unmaskDatagram(data, secret);
  if (plain.readUInt16BE(8) !== TUBUS_SIGN || plain.readUInt16BE(10) !== TUBUS_VERSION) return undefined;
  const pin = plain.readUInt32BE(12);
  if (pin === 0) return undefined;
  const sections: TubusSection[] = [];
  let at = TUBUS_HEADER_BYTES;
  while (at + SECTION_HEADER_BYTES <= plain.length) {
    const type = plain.readUInt16BE(at);
    if (type === 0) break;
    const length = plain.readUInt16BE(at + 2);
    at += SECTION_HEADER_BYTES;
    if (at + length > plain.length) return undefined;
    const section = readSection(type, plain, at, length);
    if (section === undefined) return undefined;
    if (section !== 'skip') sections.push(section);
    at += length;
  }
  return { pin, sections };
}
