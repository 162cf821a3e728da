import { AwlError } from '../errors.js';

/** What {@link encodeMsgpack} takes. Objects become maps in the order of their keys; undefined members are left out. */
export type Msgpack =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Packed
  | readonly Msgpack[]
  | ReadonlyMap<number | string, Msgpack>
  | { readonly [key: string]: Msgpack | undefined };

/** What {@link decodeMsgpack} yields; maps come as Maps, which have no prototype to be confused by. */
export type Unpacked =
  | null
  | boolean
  | number
  | bigint
  | string
  | Buffer
  | Unpacked[]
  | Map<Unpacked, Unpacked>;

/** A value that is encoded already: its bytes go into the output as they are. */
export class Packed {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

const MAX_DEPTH = 8;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

function malformed(what: string): AwlError {
  return new AwlError('MESSAGE_MALFORMED', `not msgpack as it should be: ${what}`);
}

/** A one-byte family and then the count in as few bytes as it needs: 1, 2 or 4. */
function head(family: { fix?: number; fixMax?: number; b8?: number; b16: number; b32: number }, n: number) {
  if (family.fix !== undefined && n <= (family.fixMax ?? -1)) return Buffer.from([family.fix | n]);
  if (family.b8 !== undefined && n <= 0xff) return Buffer.from([family.b8, n]);
  if (n <= 0xffff) return Buffer.from([family.b16, n >>> 8, n & 0xff]);
  const out = Buffer.alloc(5, family.b32);
  out.writeUInt32BE(n, 1);
  return out;
}

const STR = { fix: 0xa0, fixMax: 31, b8: 0xd9, b16: 0xda, b32: 0xdb };
const BIN = { b8: 0xc4, b16: 0xc5, b32: 0xc6 };
const ARRAY = { fix: 0x90, fixMax: 15, b16: 0xdc, b32: 0xdd };
const MAP = { fix: 0x80, fixMax: 15, b16: 0xde, b32: 0xdf };
const UINT = { fix: 0x00, fixMax: 127, b8: 0xcc, b16: 0xcd, b32: 0xce };

function integer(value: number | bigint): Buffer {
  const wide = BigInt(value);
  if (wide < 0n || wide > U64_MAX) throw new RangeError(`${value} is no unsigned 64-bit number`);
  if (wide <= 0xffff_ffffn) return head(UINT, Number(wide));
  const out = Buffer.alloc(9, 0xcf);
  out.writeBigUInt64BE(wide, 1);
  return out;
}

/**
 * The shortest encoding of a value (msgpack specification, 2013-04-21), which signatures of OpenDHT rely on. Of
 * numbers only the unsigned integers are needed.
 * @throws RangeError for a number that is none of those
 */
export function encodeMsgpack(value: Msgpack): Buffer {
  if (value === null) return Buffer.from([0xc0]);
  if (typeof value === 'boolean') return Buffer.from([value ? 0xc3 : 0xc2]);
  if (typeof value === 'number' || typeof value === 'bigint') return integer(value);
  if (typeof value === 'string') {
    const bytes = Buffer.from(value);
    return Buffer.concat([head(STR, bytes.length), bytes]);
  }
  if (value instanceof Packed) return Buffer.from(value.bytes);
  if (value instanceof Uint8Array) return Buffer.concat([head(BIN, value.length), value]);
  if (Array.isArray(value))
    return Buffer.concat([head(ARRAY, value.length), ...value.map((item) => encodeMsgpack(item))]);
  const entries: (readonly [number | string, Msgpack | undefined])[] =
    value instanceof Map ? [...value] : Object.entries(value);
  const present = entries.flatMap(([key, item]) =>
    item === undefined ? [] : [encodeMsgpack(key), encodeMsgpack(item)],
  );
  return Buffer.concat([head(MAP, present.length / 2), ...present]);
}

/** One item's head: what it is, how many items follow inside it, and where its own bytes lie. */
interface Head {
  readonly kind: 'nil' | 'bool' | 'uint' | 'int' | 'float' | 'str' | 'bin' | 'array' | 'map';
  /** Length of str and bin, items of an array, pairs of a map. */
  readonly count: number;
  /** First byte after the head. */
  readonly body: number;
  readonly value?: number | bigint | boolean;
}

function narrow(value: bigint): number | bigint {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) && value >= BigInt(Number.MIN_SAFE_INTEGER)
    ? Number(value)
    : value;
}

function need(bytes: Buffer, at: number, count: number): void {
  if (count > bytes.length - at) throw malformed('it ends in the middle');
}

function sized(kind: Head['kind'], bytes: Buffer, at: number, width: 1 | 2 | 4): Head {
  need(bytes, at + 1, width);
  return { kind, count: bytes.readUIntBE(at + 1, width), body: at + 1 + width };
}

function number(kind: 'uint' | 'int' | 'float', bytes: Buffer, at: number, width: number): Head {
  const from = at + 1;
  need(bytes, from, width);
  const read = () => {
    if (kind === 'float') return width === 4 ? bytes.readFloatBE(from) : bytes.readDoubleBE(from);
    if (width === 8)
      return narrow(kind === 'uint' ? bytes.readBigUInt64BE(from) : bytes.readBigInt64BE(from));
    return kind === 'uint' ? bytes.readUIntBE(from, width) : bytes.readIntBE(from, width);
  };
  return { kind, count: 0, body: from + width, value: read() };
}

function readHead(bytes: Buffer, at: number): Head {
  need(bytes, at, 1);
  const tag = bytes[at]!;
  const body = at + 1;
  if (tag <= 0x7f) return { kind: 'uint', count: 0, body, value: tag };
  if (tag >= 0xe0) return { kind: 'int', count: 0, body, value: tag - 256 };
  if (tag <= 0x8f) return { kind: 'map', count: tag & 0x0f, body };
  if (tag <= 0x9f) return { kind: 'array', count: tag & 0x0f, body };
  if (tag <= 0xbf) return { kind: 'str', count: tag & 0x1f, body };
  if (tag === 0xc0) return { kind: 'nil', count: 0, body };
  if (tag === 0xc2 || tag === 0xc3) return { kind: 'bool', count: 0, body, value: tag === 0xc3 };
  if (tag >= 0xc4 && tag <= 0xc6) return sized('bin', bytes, at, WIDTHS[tag - 0xc4]!);
  if (tag === 0xca || tag === 0xcb) return number('float', bytes, at, tag === 0xca ? 4 : 8);
  if (tag >= 0xcc && tag <= 0xcf) return number('uint', bytes, at, 1 << (tag - 0xcc));
  if (tag >= 0xd0 && tag <= 0xd3) return number('int', bytes, at, 1 << (tag - 0xd0));
  if (tag >= 0xd9 && tag <= 0xdb) return sized('str', bytes, at, WIDTHS[tag - 0xd9]!);
  if (tag === 0xdc || tag === 0xdd) return sized('array', bytes, at, tag === 0xdc ? 2 : 4);
  if (tag === 0xde || tag === 0xdf) return sized('map', bytes, at, tag === 0xde ? 2 : 4);
  throw malformed(`a byte 0x${tag.toString(16)} that OpenDHT does not use`);
}

const WIDTHS = [1, 2, 4] as const;

/** Where the item at `at` ends. Costs no more than the bytes that are there, whatever counts they claim. */
function skip(bytes: Buffer, at: number): number {
  let end = at;
  for (let todo = 1; todo > 0; todo--) {
    const { kind, count, body } = readHead(bytes, end);
    end = body;
    if (kind === 'str' || kind === 'bin') {
      need(bytes, end, count);
      end += count;
    } else {
      todo += kind === 'map' ? 2 * count : kind === 'array' ? count : 0;
      if (todo - 1 > bytes.length - end) throw malformed('it ends in the middle');
    }
  }
  return end;
}

/** The items of one array or map level, each as the bytes that it has on the wire. */
function split(bytes: Buffer, kind: 'array' | 'map'): Buffer[] {
  const { kind: found, count, body } = readHead(bytes, 0);
  if (found !== kind) throw malformed(`${found} instead of ${kind}`);
  const items: Buffer[] = [];
  let at = body;
  for (let left = kind === 'map' ? 2 * count : count; left > 0; left--) {
    const end = skip(bytes, at);
    items.push(bytes.subarray(at, end));
    at = end;
  }
  if (at !== bytes.length) throw malformed('there is something behind it');
  return items;
}

/**
 * The members of a map by name, undecoded: signatures cover such slices. Members whose key is no string are left out.
 * @throws AwlError MESSAGE_MALFORMED unless `bytes` is exactly one map in which no name comes twice
 */
export function splitMap(bytes: Buffer): Map<string, Buffer> {
  const out = new Map<string, Buffer>();
  const items = split(bytes, 'map');
  for (let i = 0; i < items.length; i += 2) {
    const key = decodeMsgpack(items[i]!);
    if (typeof key !== 'string') continue;
    if (out.has(key)) throw malformed(`two members ${JSON.stringify(key.slice(0, 20))}`);
    out.set(key, items[i + 1]!);
  }
  return out;
}

/**
 * The items of an array, undecoded.
 * @throws AwlError MESSAGE_MALFORMED unless `bytes` is exactly one array
 */
export function splitArray(bytes: Buffer): Buffer[] {
  return split(bytes, 'array');
}

/**
 * Reads exactly one value, nested at most 8 deep; integers beyond 2^53 come as bigint. Extension types are refused.
 * @throws AwlError MESSAGE_MALFORMED
 */
export function decodeMsgpack(bytes: Buffer): Unpacked {
  const { value, end } = decodeAt(bytes, 0, 0);
  if (end !== bytes.length) throw malformed('there is something behind it');
  return value;
}

function decodeAt(bytes: Buffer, at: number, depth: number): { value: Unpacked; end: number } {
  if (depth > MAX_DEPTH) throw malformed('nested too deep');
  const { kind, count, body, value } = readHead(bytes, at);
  if (kind === 'nil') return { value: null, end: body };
  if (value !== undefined) return { value, end: body };
  if (kind === 'str' || kind === 'bin') {
    need(bytes, body, count);
    const end = body + count;
    return { value: kind === 'str' ? bytes.toString('utf8', body, end) : bytes.subarray(body, end), end };
  }
  // Every item takes a byte at least: a count beyond that is a claim to memory only.
  need(bytes, body, kind === 'map' ? 2 * count : count);
  let end = body;
  const next = () => {
    const item = decodeAt(bytes, end, depth + 1);
    end = item.end;
    return item.value;
  };
  if (kind === 'array') {
    const items: Unpacked[] = [];
    for (let i = 0; i < count; i++) items.push(next());
    return { value: items, end };
  }
  const map = new Map<Unpacked, Unpacked>();
  for (let i = 0; i < count; i++) {
    const key = next();
    map.set(key, next());
  }
  return { value: map, end };
}
