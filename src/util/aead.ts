import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { ownLibrary } from './libc.js';

const CIPHER = 'chacha20-poly1305';
const OPTIONS = { authTagLength: 16 } as const;
export const AEAD_TAG_BYTES = 16;
/** Encrypted at a time by Node: what stays in a processor's nearest memory, and what allocators give quickly. */
const PIECE_BYTES = 16 * 1024;
/** openssl/evp.h. */
const GET_TAG = 0x10;
const SET_TAG = 0x11;

/** ChaCha20-Poly1305 (RFC 8439 section 2.8) from memory to memory. */
export interface Aead {
  /** Writes the ciphertext of all of `plain`, one behind the other, and the tag behind it. */
  seal(into: Buffer, key: Buffer, nonce: Buffer, plain: readonly Uint8Array[], aad?: Uint8Array): void;
  /** Decrypts where it stands; yields that memory without the tag, or undefined if anything was changed: then nobody may look at it. */
  open(sealed: Buffer, key: Buffer, nonce: Buffer, aad?: Uint8Array): Buffer | undefined;
}

let chosen: Aead | undefined;

/**
 * The quickest one. Node's ciphers take twice the time: each makes an object, looks its algorithm up, and yields fresh
 * memory that is cleared before and collected behind. The same OpenSSL, called directly, writes where it is told to.
 */
export function aead(): Aead {
  chosen ??= checked(openssl) ?? NODE;
  return chosen;
}

/** By Node's own ciphers. */
export const NODE: Aead = {
  seal(into, key, nonce, plain, aad) {
    const cipher = createCipheriv(CIPHER, key, nonce, OPTIONS);
    if (aad) cipher.setAAD(aad, { plaintextLength: into.length - AEAD_TAG_BYTES });
    let at = 0;
    for (const piece of plain) {
      for (let from = 0; from < piece.length; from += PIECE_BYTES) {
        at += cipher.update(piece.subarray(from, from + PIECE_BYTES)).copy(into, at);
      }
    }
    cipher.final();
    if (cipher.getAuthTag().copy(into, at) < AEAD_TAG_BYTES) throw new RangeError('no room to seal');
  },

  open(sealed, key, nonce, aad) {
    const end = sealed.length - AEAD_TAG_BYTES;
    if (end < 0) return undefined;
    const decipher = createDecipheriv(CIPHER, key, nonce, OPTIONS);
    if (aad) decipher.setAAD(aad, { plaintextLength: end });
    decipher.setAuthTag(sealed.subarray(end));
    for (let at = 0; at < end; at += PIECE_BYTES) {
      decipher.update(sealed.subarray(at, Math.min(end, at + PIECE_BYTES))).copy(sealed, at);
    }
    try {
      decipher.final();
      return sealed.subarray(0, end);
    } catch {
      return undefined;
    }
  },
};

/** By the OpenSSL that Node itself is linked with; @throws an Error where it cannot be called. */
export function openssl(): Aead {
  const { library } = ownLibrary();
  const cipher: () => number = library.func('uintptr_t EVP_chacha20_poly1305()');
  const context: () => number = library.func('uintptr_t EVP_CIPHER_CTX_new()');
  const init: (at: number, cipher: number, engine: number, key: Buffer, nonce: Buffer, to: number) => number =
    library.func('int EVP_CipherInit_ex(uintptr_t, uintptr_t, uintptr_t, void *, void *, int)');
  const update: (at: number, into: Buffer | null, size: Buffer, from: Uint8Array, bytes: number) => number =
    library.func('int EVP_CipherUpdate(uintptr_t, void *, void *, void *, int)');
  const final: (at: number, into: Buffer, size: Buffer) => number = library.func(
    'int EVP_CipherFinal_ex(uintptr_t, void *, void *)',
  );
  const control: (at: number, what: number, bytes: number, data: Buffer) => number = library.func(
    'int EVP_CIPHER_CTX_ctrl(uintptr_t, int, int, void *)',
  );
  // Two for the process, each used from beginning to end in one call of ours.
  const [sealer, opener] = [context(), context()];
  const size = Buffer.alloc(8);
  const none = Buffer.alloc(64);
  if (!sealer || !opener) throw new Error('no memory for a cipher');
  for (const [to, at] of [opener, sealer].entries()) must(init(at, cipher(), 0, none, none, to));
  return {
    seal(into, key, nonce, plain, aad) {
      must(init(sealer, 0, 0, key, nonce, 1));
      if (aad) must(update(sealer, null, size, aad, aad.length));
      let at = 0;
      for (const piece of plain) {
        if (piece.length === 0) continue;
        if (at + piece.length + AEAD_TAG_BYTES > into.length) throw new RangeError('no room to seal');
        must(update(sealer, at === 0 ? into : into.subarray(at), size, piece, piece.length));
        at += piece.length;
      }
      if (at + AEAD_TAG_BYTES > into.length) throw new RangeError('no room to seal');
      must(final(sealer, none, size));
      must(control(sealer, GET_TAG, AEAD_TAG_BYTES, into.subarray(at)));
    },

    open(sealed, key, nonce, aad) {
      const end = sealed.length - AEAD_TAG_BYTES;
      if (end < 0) return undefined;
      must(init(opener, 0, 0, key, nonce, 0));
      must(control(opener, SET_TAG, AEAD_TAG_BYTES, sealed.subarray(end)));
      if (aad) must(update(opener, null, size, aad, aad.length));
      if (end > 0) must(update(opener, sealed, size, sealed, end));
      return final(opener, none, size) === 1 ? sealed.subarray(0, end) : undefined;
    },
  };
}

/** Only what does the same as Node's: other programs' Node may be linked with another library of these names. */
function checked(make: () => Aead): Aead | undefined {
  try {
    const one = make();
    const [key, nonce, plain, aad] = [32, 12, 1500, 7].map((bytes) => randomBytes(bytes)) as Buffer4;
    const [ours, theirs] = [Buffer.alloc(1516), Buffer.alloc(1516)];
    one.seal(ours, key, nonce, [plain.subarray(0, 99), plain.subarray(99)], aad);
    NODE.seal(theirs, key, nonce, [plain], aad);
    if (!ours.equals(theirs) || !one.open(theirs, key, nonce, aad)?.equals(plain)) return undefined;
    ours[3] = (ours[3] as number) ^ 1;
    return one.open(ours, key, nonce, aad) ? undefined : one;
  } catch {
    return undefined;
  }
}

type Buffer4 = [Buffer, Buffer, Buffer, Buffer];

function must(result: number): void {
  if (result !== 1) throw new Error('OpenSSL refuses a cipher');
}
