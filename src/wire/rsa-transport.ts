import { constants, createHash, createHmac, type KeyObject, privateDecrypt } from 'node:crypto';
import { AwlError } from '../errors.js';

/** Padding of PKCS#1 v1.5 is at least 11 octets, RFC 8017 section 7.2.1. */
export const PKCS1_OVERHEAD = 11;

/** The one answer to whatever goes wrong with a key in hand: a reader that tells more is an oracle. */
export function undecryptable(): AwlError {
  return new AwlError('MESSAGE_UNDECRYPTABLE', 'the message cannot be decrypted with our key', {
    hint: 'the peer may hold an old certificate of ours; send it the present one with: awl id export',
  });
}

/** @throws AwlError IDENTITY_INVALID if nothing can be encrypted to the key */
export function requireRsa(key: KeyObject, whose: string): void {
  if (key.asymmetricKeyType === 'rsa') return;
  throw new AwlError(
    'IDENTITY_INVALID',
    `${whose} has a key of type ${key.asymmetricKeyType}; only RSA can receive`,
    {
      hint: 'make an RSA identity with: awl id init owner/pin',
    },
  );
}

/** What bad padding yields instead of an error: depends on our private key and the ciphertext only. */
function substituteFor(key: KeyObject, wrapped: Buffer): Buffer {
  const seed = createHash('sha256')
    .update(key.export({ type: 'pkcs8', format: 'der' }))
    .digest();
  return createHmac('sha256', seed).update(wrapped).digest();
}

/**
 * RSAES-PKCS1-v1_5 by hand with implicit rejection: Node 20 refuses the padding (CVE-2023-46809), and a reader that
 * tells bad padding from a bad key is Bleichenbacher's oracle. Bad padding yields a key that depends on our private
 * key and the ciphertext only, so that repeating a ciphertext shows nothing either.
 * @param length of the wrapped key, at most 32 octets
 */
export function unwrapKey(key: KeyObject, wrapped: Buffer, length: number): Buffer {
  const block = privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, wrapped);
  const separator = block.length - length - 1;
  if (separator < PKCS1_OVERHEAD - 1) throw undecryptable();
  const substitute = substituteFor(key, wrapped);
  let bad = block[0]! | (block[1]! ^ 2) | block[separator]!;
  for (let i = 2; i < separator; i++) bad |= ((block[i]! - 1) >>> 8) & 1;
  const mask = -((bad | -bad) >>> 31);
  const out = Buffer.alloc(length);
  for (let i = 0; i < length; i++) out[i] = (block[separator + 1 + i]! & ~mask) | (substitute[i]! & mask);
  block.fill(0);
  return out;
}

/**
 * As {@link unwrapKey} for a text whose length only the padding tells. Bad padding yields 32 octets of noise, which
 * the caller must refuse as it refuses any other text that is not what it waits for.
 */
export function unwrapText(key: KeyObject, wrapped: Buffer): Buffer {
  const block = privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, wrapped);
  const substitute = substituteFor(key, wrapped);
  let found = 0;
  let separator = 0;
  for (let i = 2; i < block.length; i++) {
    const first = ((block[i]! - 1) >>> 31) & (found ^ 1);
    separator |= i & -first;
    found |= first;
  }
  const short = ((separator - (PKCS1_OVERHEAD - 1)) >>> 31) & 1;
  const bad = block[0]! | (block[1]! ^ 2) | (found ^ 1) | short;
  const choices = [block.subarray(separator + 1), substitute] as const;
  return choices[((bad | -bad) >>> 31) as 0 | 1];
}
