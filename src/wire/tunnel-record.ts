import { AwlError } from '../errors.js';
import { AEAD_TAG_BYTES, aead } from '../util/aead.js';
import { TUNNEL_RECORD_BYTES } from './tunnel-limits.js';

/** The length before each record. */
export const RECORD_LENGTH_BYTES = 4;

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

  /**
   * Seals what {@link frameRecord} made; without a key that is the record. `allocate` yields the memory for it.
   * @throws RangeError if it is longer than TUNNEL_RECORD_BYTES, or empty
   */
  seal(framed: Buffer, allocate: (length: number) => Buffer = Buffer.allocUnsafe): Buffer {
    const length = framed.length - RECORD_LENGTH_BYTES;
    if (length <= 0 || length > TUNNEL_RECORD_BYTES) throw new RangeError(`a record of ${length} bytes`);
    if (!this.#key) return framed;
    const record = allocate(framed.length + AEAD_TAG_BYTES);
    record.writeUInt32BE(length + AEAD_TAG_BYTES);
    const plain = framed.subarray(RECORD_LENGTH_BYTES);
    aead().seal(record.subarray(RECORD_LENGTH_BYTES), this.#key, counterNonce(this.#counter++), [plain]);
    return record;
  }
}

/**
 * The receiving half: takes the stream in pieces of any size and yields the plaintexts in order, each to be looked at
 * before the next one unless it is kept. A record that was changed, left out, repeated or moved does not open, and nothing after it is believed.
 */
export class RecordOpener {
  readonly #key: Buffer | undefined;
  readonly #tag: number;
  #counter = 0;
  readonly #length = Buffer.alloc(RECORD_LENGTH_BYTES);
  /** The record that is being put together, and how much of it, or of the length before it, is there. */
  #record: Buffer | undefined;
  #at = 0;
  /** Where records are put together, one after the other. */
  #space: Buffer | undefined;
  #failed = false;

  /** Without a key for bare records. */
  constructor(key: Buffer | undefined) {
    this.#key = key;
    this.#tag = key ? AEAD_TAG_BYTES : 0;
  }

  /** Bytes of a record that is not whole yet, and of its length. */
  get held(): number {
    return this.#record ? RECORD_LENGTH_BYTES + this.#at : this.#at;
  }

  /** @throws AwlError MESSAGE_MALFORMED; the opener is of no use after that */
  *open(piece: Uint8Array): Generator<Buffer, void> {
    if (this.#failed) throw forged();
    for (let at = 0; at < piece.length; ) {
      const target = this.#record ?? this.#length;
      const count = Math.min(target.length - this.#at, piece.length - at);
      target.set(piece.subarray(at, at + count), this.#at);
      at += count;
      this.#at += count;
      if (this.#at < target.length) return;
      this.#at = 0;
      if (!this.#record) {
        this.#record = this.#room(this.#length.readUInt32BE());
        continue;
      }
      this.#record = undefined;
      yield this.#key ? this.#decrypt(target, this.#key) : target;
    }
  }

  #room(length: number): Buffer {
    const plain = length - this.#tag;
    if (plain < 1 || plain > TUNNEL_RECORD_BYTES) {
      this.#failed = true;
      throw forged();
    }
    this.#space ??= Buffer.allocUnsafeSlow(TUNNEL_RECORD_BYTES + AEAD_TAG_BYTES);
    return this.#space.subarray(0, length);
  }

  /** The memory of the record that was yielded last belongs to its reader, who would otherwise lose it with the next one. */
  keep(): void {
    if (!this.#key) this.#space = undefined;
  }

  #decrypt(sealed: Buffer, key: Buffer): Buffer {
    // It decrypts where it stands, and the next record will stand here.
    const plain = aead().open(Buffer.from(sealed), key, counterNonce(this.#counter++));
    if (plain) return plain;
    this.#failed = true;
    throw forged();
  }
}

/**
 * `length (u32) || plaintext`: how a record goes over a stream that is encrypted itself. `allocate` yields the memory
 * for it.
 */
export function frameRecord(
  parts: readonly Uint8Array[],
  length: number,
  allocate: (length: number) => Buffer = Buffer.allocUnsafe,
): Buffer {
  const framed = allocate(RECORD_LENGTH_BYTES + length);
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
