import { AwlError } from '../../errors.js';

const DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz';
/** First of the 33 bytes: what kind of key follows (Ed25519). */
const ED25519_TAG = 0x22;
const ID_CHARS = 51;

/** Name of a Meepo node: base36 of `22` and its 32-byte Ed25519 public key, always 51 characters. */
export function formatMeepoId(publicKey: Uint8Array): string {
  let value = BigInt(`0x${ED25519_TAG.toString(16)}${Buffer.from(publicKey).toString('hex')}`);
  let text = '';
  for (; value > 0n; value /= 36n) text = DIGITS.charAt(Number(value % 36n)) + text;
  return text;
}

/**
 * The public key that a MeepoID names; upper case is taken, too. It has no checksum.
 * @throws AwlError USAGE_BAD_VALUE
 */
export function parseMeepoId(text: string): Buffer {
  let value = 0n;
  if (!/^[0-9a-z]{51}$/i.test(text)) throw invalid(text);
  for (const digit of text.toLowerCase()) value = value * 36n + BigInt(DIGITS.indexOf(digit));
  const hex = value.toString(16);
  if (hex.length !== 66 || Number.parseInt(hex.slice(0, 2), 16) !== ED25519_TAG) throw invalid(text);
  return Buffer.from(hex.slice(2), 'hex');
}

/** True for text that {@link parseMeepoId} takes and {@link formatMeepoId} wrote: lower case. */
export function isMeepoId(text: string): boolean {
  try {
    return formatMeepoId(parseMeepoId(text)) === text;
  } catch {
    return false;
  }
}

function invalid(text: string): AwlError {
  const shown = JSON.stringify(text.slice(0, ID_CHARS + 3));
  return new AwlError('USAGE_BAD_VALUE', `invalid peer id ${shown}`, {
    hint: 'a MeepoID has 51 letters and digits and begins with 6; awl meepo whoami prints one',
  });
}
