import { decodeMsgpack, encodeMsgpack, type Unpacked } from '../msgpack.js';
import { malformedMeepo, readBase64, readCount, readMap, readText, sortedMap } from './fields.js';
import { isMeepoId, parseMeepoId } from './id.js';
import { type MeepoKeys, meepoSign, meepoVerify, signBy } from './keys.js';

/** What a real node can receive in one message. */
export const PACKET_MAX_BYTES = 65_535;

const TYPES = ['request', 'response', 'broadcastRequest', 'broadcastResponse'] as const;
export type PacketType = (typeof TYPES)[number];

export interface PacketHeader {
  readonly type: PacketType;
  readonly method: string;
  /** 31-bit random number; a response repeats that of its request. */
  readonly session: number;
  /** MeepoIDs. */
  readonly source: string;
  readonly destination: string;
}

/** One message of the `sys` channel: a header, and either data or an error. */
export interface Packet {
  readonly header: PacketHeader;
  readonly data: Buffer;
  readonly error?: string;
  readonly signature: Buffer;
}

function encodeHeader(header: PacketHeader, signature: Uint8Array): Buffer {
  const { type, method, session, source, destination } = header;
  const text = Buffer.from(signature).toString('base64');
  return sortedMap({ type, method, session, source, destination, signature: text });
}

/** The bytes on the wire: a sorted map of `header` (bin) and `data` (base64 text) or `error` (text). */
export function encodePacket(packet: Packet): Buffer {
  const header = encodeHeader(packet.header, packet.signature);
  if (packet.error !== undefined) return sortedMap({ header, error: packet.error });
  return sortedMap({ header, data: packet.data.toString('base64') });
}

/** Signs the whole packet with its signature left empty. */
export function signPacket(keys: MeepoKeys, unsigned: Omit<Packet, 'signature'>): Packet {
  const bytes = encodePacket({ ...unsigned, signature: Buffer.alloc(0) });
  return { ...unsigned, signature: meepoSign(keys.seed, bytes) };
}

/** {@link signPacket} with a key that may be in an agent. */
export async function signPacketBy(keys: MeepoKeys, unsigned: Omit<Packet, 'signature'>): Promise<Packet> {
  const bytes = encodePacket({ ...unsigned, signature: Buffer.alloc(0) });
  return { ...unsigned, signature: await signBy(keys, bytes) };
}

/** True if the node that the packet names as its source signed it. */
export function verifyPacket(packet: Packet): boolean {
  const bytes = encodePacket({ ...packet, signature: Buffer.alloc(0) });
  return meepoVerify(parseMeepoId(packet.header.source), bytes, packet.signature);
}

/** @throws AwlError MESSAGE_MALFORMED; who sent it is not checked yet */
export function decodePacket(bytes: Buffer): Packet {
  if (bytes.length > PACKET_MAX_BYTES) throw malformedMeepo('the packet is too large');
  const map = readMap(bytes, 'the packet');
  const header = map.get('header');
  if (!Buffer.isBuffer(header)) throw malformedMeepo('it has no header');
  const fields = readMap(header, 'the header');
  const type = TYPES.find((one) => one === fields.get('type'));
  if (!type) throw malformedMeepo('its type is unknown');
  const packet = {
    header: {
      type,
      method: readText(fields.get('method'), 'the method', 64),
      session: readCount(fields.get('session'), 'the session'),
      source: readId(fields.get('source')),
      destination: readId(fields.get('destination')),
    },
    signature: readBase64(fields.get('signature'), 'the signature'),
  };
  if (!map.has('error')) return { ...packet, data: readBase64(map.get('data'), 'the data') };
  const error = readText(map.get('error'), 'the error', 4096);
  return { ...packet, data: Buffer.alloc(0), error };
}

function readId(value: unknown): string {
  if (typeof value === 'string' && isMeepoId(value)) return value;
  throw malformedMeepo('it names no node');
}

/** Text members of a request, in declared order: `{Name, Label}`. */
export function encodeBody(fields: { readonly [name: string]: string | number }): Buffer {
  return encodeMsgpack(fields);
}

/** Reads a body; an empty one is an empty map. @throws AwlError MESSAGE_MALFORMED */
export function decodeBody(data: Buffer): ReadonlyMap<Unpacked, Unpacked> {
  if (data.length === 0) return new Map();
  const value = decodeMsgpack(data);
  if (value === null) return new Map();
  if (!(value instanceof Map)) throw malformedMeepo('the body is no map');
  return value;
}

/** A text member of a body. @throws AwlError MESSAGE_MALFORMED */
export function bodyField(body: ReadonlyMap<Unpacked, Unpacked>, name: string): string {
  return readText(body.get(name), name);
}
