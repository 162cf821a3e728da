import { AwlError } from '../../errors.js';
import { decodeMsgpack, encodeMsgpack, type Msgpack, type Unpacked } from '../msgpack.js';

/** A message of Meepo that breaks its own rules. */
export function malformedMeepo(what: string): AwlError {
  return new AwlError('MESSAGE_MALFORMED', `no message of Meepo: ${what}`);
}

/** A msgpack map with its keys in bytewise order, as Meepo signs them. */
export function sortedMap(fields: { readonly [key: string]: Msgpack }): Buffer {
  const entries = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1));
  return encodeMsgpack(new Map(entries));
}

/** @throws AwlError MESSAGE_MALFORMED unless `bytes` is one map */
export function readMap(bytes: Buffer, what: string): Map<Unpacked, Unpacked> {
  const value = decodeMsgpack(bytes);
  if (!(value instanceof Map)) throw malformedMeepo(`${what} is no map`);
  return value;
}

/** @throws AwlError MESSAGE_MALFORMED unless it is text of at most `max` characters; absent counts as empty */
export function readText(value: unknown, what: string, max = 1024): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'string' || value.length > max) throw malformedMeepo(`${what} is no short text`);
  return value;
}

/** @throws AwlError MESSAGE_MALFORMED unless it is an integer from 0 to `max` */
export function readCount(value: unknown, what: string, max = 0x7fff_ffff): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw malformedMeepo(`${what} is no number of that range`);
}

/** Standard base64, strictly. @throws AwlError MESSAGE_MALFORMED */
export function readBase64(value: unknown, what: string): Buffer {
  if (typeof value !== 'string') throw malformedMeepo(`${what} is no base64`);
  const bytes = Buffer.from(value, 'base64');
  if (bytes.toString('base64') !== value) throw malformedMeepo(`${what} is no base64`);
  return bytes;
}
