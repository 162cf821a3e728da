import { MESSAGE_MAX_BYTES } from '../constants.js';
import { AwlError } from '../errors.js';
import { type IdentityName, isNamePart, matchesName } from '../identity/names.js';
import type { Letter, LetterFilter } from './types.js';

/** The line in front of the sealed bytes: what a carrier without fields of its own must know. */
export const HEAD_MAX_BYTES = 1024;

interface Head {
  readonly awl: 1;
  readonly app: string;
  readonly kind: Letter['kind'];
  readonly form: Letter['form'];
  readonly from: IdentityName;
  readonly to: IdentityName;
}

/** One line of JSON, then the bytes as they are. */
export function encodeLetter(letter: Letter): Buffer {
  const { app, kind, form, from, to } = letter;
  const name = ({ owner, pin }: IdentityName) => ({ owner, pin });
  const head: Head = { awl: 1, app, kind, form, from: name(from), to: name(to) };
  return Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), letter.bytes]);
}

/**
 * {@link encodeLetter} within the limits of every carrier.
 * @throws AwlError MESSAGE_TOO_LARGE
 */
export function encodeBounded(letter: Letter): Buffer {
  const data = encodeLetter(letter);
  const { length } = letter.bytes;
  if (length <= MESSAGE_MAX_BYTES && data.length - length <= HEAD_MAX_BYTES) return data;
  throw new AwlError('MESSAGE_TOO_LARGE', `a message of ${length} bytes is too large to hand over`);
}

/** True if it is one of those that the filter waits for. */
export function fitsFilter({ app, kind, from, to }: Letter, filter: LetterFilter): boolean {
  if (app !== filter.app || kind !== filter.kind) return false;
  return matchesName(from, filter.from) && matchesName(to, filter.to);
}

function isName(value: unknown): value is IdentityName {
  if (typeof value !== 'object' || value === null) return false;
  const { owner, pin } = value as Partial<Record<string, unknown>>;
  return typeof owner === 'string' && typeof pin === 'string' && isNamePart(owner) && isNamePart(pin);
}

/** Undefined for anything that {@link encodeLetter} did not write. */
export function decodeLetter(data: Buffer): Letter | undefined {
  const end = data.indexOf(10);
  if (end < 0 || end > HEAD_MAX_BYTES) return undefined;
  let head: Partial<Record<string, unknown>> | null;
  try {
    head = JSON.parse(data.subarray(0, end).toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof head !== 'object' || head === null || head['awl'] !== 1) return undefined;
  const { app, kind, form, from, to } = head;
  if (typeof app !== 'string' || !isName(from) || !isName(to)) return undefined;
  if ((kind !== 'invite' && kind !== 'accept') || (form !== 'smime' && form !== 'plain')) return undefined;
  const bytes = data.subarray(end + 1);
  return bytes.length === 0 ? undefined : { app, kind, form, from, to, bytes };
}
