import { STUN_MAGIC_COOKIE } from '../constants.js';
import type { Endpoint } from '../util/endpoint.js';
import { addressToBytes, bytesToAddress } from '../util/ip-bytes.js';

/** Octets of the header: type, length, and the 16 that a reply repeats. RFC 8489 section 5. */
export const STUN_HEADER_BYTES = 20;
export const STUN_ID_BYTES = 16;

/** Message types of the Binding method, RFC 8489 section 5. */
const TYPES = { request: 0x0001, success: 0x0101, error: 0x0111 } as const;

/** Attribute types: RFC 8489 section 18.3, RFC 5780 section 9.1, RFC 3489 section 11.2. */
const ATTRIBUTE = {
  mapped: 0x0001,
  responseAddress: 0x0002,
  changeRequest: 0x0003,
  source: 0x0004,
  changed: 0x0005,
  username: 0x0006,
  integrity: 0x0008,
  errorCode: 0x0009,
  unknownAttributes: 0x000a,
  realm: 0x0014,
  nonce: 0x0015,
  integritySha256: 0x001c,
  userhash: 0x001e,
  xorMapped: 0x0020,
  xorMappedDraft: 0x8020,
  origin: 0x802b,
  other: 0x802c,
} as const;

/** Types below this must be understood by the receiver, RFC 8489 section 14. */
const OPTIONAL_FROM = 0x8000;
const UNDERSTOOD = new Set<number>(Object.values(ATTRIBUTE));

const ADDRESS_FIELDS = new Map<number, 'mapped' | 'source' | 'changed' | 'xorMapped' | 'origin' | 'other'>([
  [ATTRIBUTE.mapped, 'mapped'],
  [ATTRIBUTE.source, 'source'],
  [ATTRIBUTE.changed, 'changed'],
  [ATTRIBUTE.xorMapped, 'xorMapped'],
  [ATTRIBUTE.xorMappedDraft, 'xorMapped'],
  [ATTRIBUTE.origin, 'origin'],
  [ATTRIBUTE.other, 'other'],
]);

const CHANGE_IP = 0x04;
const CHANGE_PORT = 0x02;
const FAMILY_V4 = 1;
const FAMILY_V6 = 2;

/** One Binding message, RFC 8489 / RFC 5780 and the older RFC 3489. */
export interface StunMessage {
  readonly kind: keyof typeof TYPES;
  /** The 16 octets after the length: magic cookie and 96-bit id, or 128 random bits of a classic sender. */
  readonly id: Buffer;
  /** MAPPED-ADDRESS */
  readonly mapped?: Endpoint;
  /** XOR-MAPPED-ADDRESS (also the 0x8020 of drafts); absent where the message has no magic cookie. */
  readonly xorMapped?: Endpoint;
  /** SOURCE-ADDRESS of RFC 3489 */
  readonly source?: Endpoint;
  /** CHANGED-ADDRESS of RFC 3489 */
  readonly changed?: Endpoint;
  /** RESPONSE-ORIGIN of RFC 5780 */
  readonly origin?: Endpoint;
  /** OTHER-ADDRESS of RFC 5780 */
  readonly other?: Endpoint;
  /** CHANGE-REQUEST: from where a reply is wanted; both false is a request that only carries the attribute. */
  readonly change?: { readonly ip: boolean; readonly port: boolean };
  readonly error?: { readonly code: number; readonly reason: string };
  /** UNKNOWN-ATTRIBUTES of an error answer 420 */
  readonly unknownAttributes?: readonly number[];
}

/** What was read, and the comprehension-required attribute types that were skipped. */
export interface DecodedStun extends StunMessage {
  readonly notUnderstood: readonly number[];
}

/** True if the 16 octets begin with the magic cookie, i.e. the sender follows RFC 5389 or later. */
export function hasCookie(id: Uint8Array): boolean {
  return Buffer.from(id.buffer, id.byteOffset, id.length).readUInt32BE(0) === STUN_MAGIC_COOKIE;
}

/** True if `data` repeats `id`: a cheap look before decoding, so that a flood costs next to nothing. */
export function repeatsId(data: Buffer, id: Buffer): boolean {
  return data.length >= STUN_HEADER_BYTES && data.compare(id, 0, STUN_ID_BYTES, 4, STUN_HEADER_BYTES) === 0;
}

type Fields = { -readonly [K in keyof Omit<StunMessage, 'kind' | 'id'>]: StunMessage[K] };

/**
 * Reads one datagram as a Binding message; undefined if it is anything else. Of repeated attributes the first
 * counts; unknown and ill-formed ones are skipped; one that reaches past the end spoils the message.
 */
export function decodeStun(data: Buffer): DecodedStun | undefined {
  if (data.length < STUN_HEADER_BYTES) return undefined;
  const type = data.readUInt16BE(0);
  const kind = (['request', 'success', 'error'] as const).find((name) => TYPES[name] === type);
  if (!kind || data.readUInt16BE(2) !== data.length - STUN_HEADER_BYTES) return undefined;
  const id = Buffer.from(data.subarray(4, STUN_HEADER_BYTES));
  if (hasCookie(id) && data.length % 4 !== 0) return undefined;
  const fields: Fields = {};
  const notUnderstood: number[] = [];
  for (let at = STUN_HEADER_BYTES; at < data.length; ) {
    if (at + 4 > data.length) return undefined;
    const attribute = data.readUInt16BE(at);
    const length = data.readUInt16BE(at + 2);
    const end = at + 4 + length;
    if (end > data.length) return undefined;
    if (!UNDERSTOOD.has(attribute)) {
      if (attribute < OPTIONAL_FROM && notUnderstood.length < 16) notUnderstood.push(attribute);
    } else readAttribute(fields, attribute, data.subarray(at + 4, end), id);
    at = end + (-length & 3);
  }
  return { kind, id, ...fields, notUnderstood };
}

function readAttribute(fields: Fields, type: number, value: Buffer, id: Buffer): void {
  const name = ADDRESS_FIELDS.get(type);
  if (name === 'xorMapped') {
    // Debian's stund masks with its own bytes where there is no cookie: the value is then of no use.
    if (hasCookie(id)) setFirst(fields, name, readAddress(value, id));
  } else if (name) setFirst(fields, name, readAddress(value));
  else if (type === ATTRIBUTE.changeRequest) setFirst(fields, 'change', readChange(value));
  else if (type === ATTRIBUTE.errorCode) setFirst(fields, 'error', readError(value));
  else if (type === ATTRIBUTE.unknownAttributes) setFirst(fields, 'unknownAttributes', readTypes(value));
}

function setFirst<K extends keyof Fields>(fields: Fields, name: K, found: Fields[K] | undefined): void {
  if (found !== undefined && fields[name] === undefined) fields[name] = found;
}

/** RFC 8489 section 14.1: zero, family, port, address; masked with cookie and id where `mask` is given. */
function readAddress(value: Buffer, mask?: Buffer): Endpoint | undefined {
  if (value.length < 8) return undefined;
  const expected = value[1] === FAMILY_V4 ? 8 : value[1] === FAMILY_V6 ? 20 : 0;
  if (value.length !== expected) return undefined;
  const octets = Buffer.from(value.subarray(2));
  if (mask) applyMask(octets, mask);
  return { address: bytesToAddress(octets.subarray(2)), port: octets.readUInt16BE(0) };
}

/** XORs port (2 octets) and address (4 or 16) with the first octets of cookie and id, RFC 8489 section 14.2. */
function applyMask(octets: Buffer, mask: Buffer): void {
  for (let i = 0; i < octets.length; i++) octets[i] = (octets[i] ?? 0) ^ (mask[i < 2 ? i : i - 2] ?? 0);
}

function readChange(value: Buffer): StunMessage['change'] {
  if (value.length !== 4) return undefined;
  const flags = value.readUInt32BE(0);
  return { ip: (flags & CHANGE_IP) !== 0, port: (flags & CHANGE_PORT) !== 0 };
}

function readError(value: Buffer): StunMessage['error'] {
  if (value.length < 4) return undefined;
  const code = ((value[2] ?? 0) & 7) * 100 + Math.min(value[3] ?? 0, 99);
  const reason = value
    .subarray(4, 132)
    .toString('latin1')
    .replace(/[^ -~]/g, '');
  return { code, reason };
}

function readTypes(value: Buffer): number[] {
  const types: number[] = [];
  for (let at = 0; at + 2 <= value.length && types.length < 16; at += 2) types.push(value.readUInt16BE(at));
  return types;
}

/**
 * Bytes of a message, attributes in the order in which the older servers send them.
 * An XOR-MAPPED-ADDRESS needs an `id` with the magic cookie and is left out without one.
 */
export function encodeStun(message: StunMessage): Buffer {
  const { id, change, error, unknownAttributes } = message;
  const body: Buffer[] = [];
  const address = (type: number, endpoint: Endpoint | undefined, mask?: Buffer) => {
    if (endpoint) body.push(attribute(type, writeAddress(endpoint, mask)));
  };
  if (change) {
    const value = Buffer.alloc(4);
    value.writeUInt32BE((change.ip ? CHANGE_IP : 0) | (change.port ? CHANGE_PORT : 0));
    body.push(attribute(ATTRIBUTE.changeRequest, value));
  }
  if (error) {
    const head = Buffer.from([0, 0, Math.floor(error.code / 100), error.code % 100]);
    body.push(attribute(ATTRIBUTE.errorCode, Buffer.concat([head, Buffer.from(error.reason, 'latin1')])));
  }
  if (unknownAttributes) {
    const value = Buffer.alloc(2 * unknownAttributes.length);
    for (const [i, type] of unknownAttributes.entries()) value.writeUInt16BE(type, 2 * i);
    body.push(attribute(ATTRIBUTE.unknownAttributes, value));
  }
  address(ATTRIBUTE.mapped, message.mapped);
  address(ATTRIBUTE.source, message.source);
  address(ATTRIBUTE.changed, message.changed);
  if (hasCookie(id)) address(ATTRIBUTE.xorMapped, message.xorMapped, id);
  address(ATTRIBUTE.origin, message.origin);
  address(ATTRIBUTE.other, message.other);
  const header = Buffer.alloc(4);
  header.writeUInt16BE(TYPES[message.kind]);
  header.writeUInt16BE(
    body.reduce((sum, part) => sum + part.length, 0),
    2,
  );
  return Buffer.concat([header, id, ...body]);
}

function attribute(type: number, value: Buffer): Buffer {
  const out = Buffer.alloc(4 + value.length + (-value.length & 3));
  out.writeUInt16BE(type);
  out.writeUInt16BE(value.length, 2);
  value.copy(out, 4);
  return out;
}

function writeAddress(endpoint: Endpoint, mask: Buffer | undefined): Buffer {
  const bytes = addressToBytes(endpoint.address);
  const octets = Buffer.alloc(2 + bytes.length);
  octets.writeUInt16BE(endpoint.port);
  bytes.copy(octets, 2);
  if (mask) applyMask(octets, mask);
  return Buffer.concat([Buffer.from([0, bytes.length === 4 ? FAMILY_V4 : FAMILY_V6]), octets]);
}
