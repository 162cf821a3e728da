import { createCipheriv, createDecipheriv } from 'node:crypto';
import { AwlError } from '../errors.js';
import { TUNNEL_RECORD_BYTES } from './tunnel-limits.js';

const CIPHER = 'chacha20-poly1305';
/** The length before each record. */
export const RECORD_LENGTH_BYTES = 4;
export const TUNNEL_TAG_BYTES = 16;
const OPTIONS = { authTagLength: TUNNEL_TAG_BYTES } as const;

/** 12 bytes: six zero bytes and the counter, 48 bits big-endian. One key never sees a counter twice. */
export function counterNonce(counter: number): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(counter, 6, 6);
  return nonce;
}

/**
 * The sending half of the record layer: `length (u32) || ChaCha20-Poly1305(plaintext)`, where length counts
 * ciphertext and the 16-byte tag, and the nonce is the number of the record (RFC 8439 section 2.8).
 */
export class RecordSealer {
  readonly #key: Buffer | undefined;
  #counter = 0;

  /** Without a key records go bare, without tags: the stream under them is encrypted itself. */
  constructor(key: Buffer | undefined) {
    this.#key = key;
  }

  /** @throws RangeError if the parts together are longer than TUNNEL_RECORD_BYTES, or empty */
  seal(parts: readonly Uint8Array[]): Buffer {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    if (length === 0 || length > TUNNEL_RECORD_BYTES) throw new RangeError(`a record of ${length} bytes`);
    if (!this.#key) return frameRecord(parts, length);
    const record = Buffer.allocUnsafe(RECORD_LENGTH_BYTES + length + TUNNEL_TAG_BYTES);
    record.writeUInt32BE(length + TUNNEL_TAG_BYTES);
    const cipher = createCipheriv(CIPHER, this.#key, counterNonce(this.#counter++), OPTIONS);
    let at = RECORD_LENGTH_BYTES;
    for (const part of parts) {
      const sealed = cipher.update(part);
      sealed.copy(record, at);
      at += sealed.length;
    }
    cipher.final();
    cipher.getAuthTag().copy(record, at);
    return record;
  }

  /** {@link seal} of what {@link frameRecord} made; without a key that is the record. */
  sealFramed(framed: Buffer): Buffer {
    return this.#key ? this.seal([framed.subarray(RECORD_LENGTH_BYTES)]) : framed;
  }
}

/**
 * The receiving half: takes the stream in pieces of any size and yields the plaintexts in order. A record that was
 * changed, left out, repeated or moved does not open, and nothing after it is believed.
 */
export class RecordOpener {
  readonly #key: Buffer | undefined;
  readonly #tag: number;
  #counter = 0;
  #pieces: Uint8Array[] = [];
  #held = 0;
  #expected: number | undefined;
  #failed = false;

  /** Without a key for bare records. */
  constructor(key: Buffer | undefined) {
    this.#key = key;
    this.#tag = key ? TUNNEL_TAG_BYTES : 0;
  }

  /** Bytes of a record that is not whole yet. */
  get held(): number {
    return this.#held;
  }

  /** @throws AwlError MESSAGE_MALFORMED; the opener is of no use after that */
  *open(piece: Uint8Array): Generator<Buffer, void> {
    if (this.#failed) throw forged();
    this.#pieces.push(piece);
    this.#held += piece.length;
    for (;;) {
      if (this.#expected === undefined) {
        if (this.#held < RECORD_LENGTH_BYTES) return;
        this.#expected = this.#take(RECORD_LENGTH_BYTES).readUInt32BE();
        const plain = this.#expected - this.#tag;
        if (plain < 1 || plain > TUNNEL_RECORD_BYTES) {
          this.#failed = true;
          throw forged();
        }
      }
      if (this.#held < this.#expected) return;
      const sealed = this.#take(this.#expected);
      this.#expected = undefined;
      yield this.#key ? this.#decrypt(sealed, this.#key) : sealed;
    }
  }

  #decrypt(sealed: Buffer, key: Buffer): Buffer {
    const decipher = createDecipheriv(CIPHER, key, counterNonce(this.#counter++), OPTIONS);
    decipher.setAuthTag(sealed.subarray(sealed.length - TUNNEL_TAG_BYTES));
    const plain = decipher.update(sealed.subarray(0, sealed.length - TUNNEL_TAG_BYTES));
    try {
      decipher.final();
    } catch {
      this.#failed = true;
      throw forged();
    }
    return plain;
  }

  #take(count: number): Buffer {
    this.#held -= count;
    const first = this.#pieces[0];
    if (first && first.length >= count) {
      if (first.length === count) this.#pieces.shift();
      else this.#pieces[0] = first.subarray(count);
      return Buffer.from(first.buffer, first.byteOffset, count);
    }
    const all = Buffer.concat(this.#pieces);
    this.#pieces = all.length > count ? [all.subarray(count)] : [];
    return all.subarray(0, count);
  }
}

/** `length (u32) || plaintext`: how a record goes over a stream that is encrypted itself. */
export function frameRecord(parts: readonly Uint8Array[], length: number): Buffer {
  const framed = Buffer.allocUnsafe(RECORD_LENGTH_BYTES + length);
  framed.writeUInt32BE(length);
  let at = RECORD_LENGTH_BYTES;
  for (const part of parts) {
    framed.set(part, at);
    at += part.length;
  }
  return framed;
}

function forged(): AwlError {
  return new AwlError('MESSAGE_MALFORMED', 'a record of the tunnel was forged, damaged or out of order', {
    hint: 'somebody on the way changes what passes, or one of both awls is broken; start the session again',
  });
}
