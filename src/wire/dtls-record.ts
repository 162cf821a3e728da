import { createCipheriv, createDecipheriv } from 'node:crypto';

/**
 * Records of DTLS 1.2 under AES-GCM behind the handshake (RFC 6347 section 4.1, RFC 5288): `type (u8) | version (u16) |
 * epoch (u16) | number (u48) | length (u16)`, then `nonce (8 bytes: epoch and number again) | ciphertext | tag (16)`.
 */

export const DTLS_HEADER_BYTES = 13;
const NONCE_BYTES = 8;
const TAG_BYTES = 16;
/** What a record takes beside its plaintext. */
export const DTLS_RECORD_BYTES = DTLS_HEADER_BYTES + NONCE_BYTES + TAG_BYTES;
const VERSION = 0xfefd;
const EPOCH = 1;
const SALT_BYTES = 4;

/** Content types. */
export const DTLS_TYPE = { changeCipherSpec: 20, alert: 21, handshake: 22, data: 23 } as const;
const CLIENT_HELLO = 1;

/** One direction's secrets, as the handshake yields them. */
export interface DtlsKeys {
  readonly cipher: 'aes-128-gcm' | 'aes-256-gcm';
  readonly key: Buffer;
  /** The four bytes of each nonce that are not sent. */
  readonly salt: Buffer;
}

function authenticated(header: Buffer, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(DTLS_HEADER_BYTES);
  header.copy(bytes, 0, 3, 11);
  header.copy(bytes, 8, 0, 3);
  bytes.writeUInt16BE(length, 11);
  return bytes;
}

/** Seals records of application data; no number is ever used twice. */
export class DtlsSealer {
  readonly #keys: DtlsKeys;
  readonly #nonce = Buffer.alloc(SALT_BYTES + NONCE_BYTES);
  #next: number;

  /** `first` is the first record's number: beyond all that were used under these keys. */
  constructor(keys: DtlsKeys, first: number) {
    this.#keys = keys;
    this.#nonce.set(keys.salt);
    this.#next = first;
  }

  /** Writes one record, `DTLS_RECORD_BYTES` longer than its data, and yields where it ends. @throws RangeError */
  seal(data: Buffer, into: Buffer, at: number): number {
    const { cipher: name, key } = this.#keys;
    into[at] = DTLS_TYPE.data;
    into.writeUInt16BE(VERSION, at + 1);
    into.writeUInt16BE(EPOCH, at + 3);
    into.writeUIntBE(this.#next++, at + 5, 6);
    into.writeUInt16BE(data.length + NONCE_BYTES + TAG_BYTES, at + 11);
    into.copy(this.#nonce, SALT_BYTES, at + 3, at + 11);
    this.#nonce.copy(into, at + DTLS_HEADER_BYTES, SALT_BYTES);
    const cipher = createCipheriv(name, key, this.#nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(authenticated(into.subarray(at, at + DTLS_HEADER_BYTES), data.length));
    const start = at + DTLS_HEADER_BYTES + NONCE_BYTES;
    into.set(cipher.update(data), start);
    cipher.final();
    into.set(cipher.getAuthTag(), start + data.length);
    return start + data.length + TAG_BYTES;
  }
}

/** Numbers behind the newest one that still count. */
const WINDOW = 2048;

/** Opens records of the peer: each once, as an old one played again could close what is open now (RFC 6347 section 4.1.2.6). */
export class DtlsOpener {
  readonly #keys: DtlsKeys;
  readonly #nonce = Buffer.alloc(SALT_BYTES + NONCE_BYTES);
  readonly #seen = new Uint8Array(WINDOW);
  #newest = -1;

  constructor(keys: DtlsKeys) {
    this.#keys = keys;
    this.#nonce.set(keys.salt);
  }

  /** What a whole record protects; undefined if it is not the peer's, was changed, or came before. */
  open(record: Buffer): Buffer | undefined {
    const start = DTLS_HEADER_BYTES + NONCE_BYTES;
    const end = record.length - TAG_BYTES;
    if (end <= start || record.readUInt16BE(1) !== VERSION || record.readUInt16BE(3) !== EPOCH)
      return undefined;
    const number = record.readUIntBE(5, 6);
    if (number <= this.#newest - WINDOW) return undefined;
    if (number <= this.#newest && this.#seen[number % WINDOW] === 1) return undefined;
    const data = this.#decrypt(record, start, end);
    if (data) this.#mark(number);
    return data;
  }

  #decrypt(record: Buffer, start: number, end: number): Buffer | undefined {
    const { cipher: name, key } = this.#keys;
    record.copy(this.#nonce, SALT_BYTES, DTLS_HEADER_BYTES, start);
    const decipher = createDecipheriv(name, key, this.#nonce, { authTagLength: TAG_BYTES });
    decipher.setAuthTag(record.subarray(end));
    decipher.setAAD(authenticated(record, end - start));
    const data = decipher.update(record.subarray(start, end));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return data;
  }

  #mark(number: number): void {
    if (number - this.#newest >= WINDOW) this.#seen.fill(0);
    else for (let n = this.#newest + 1; n < number; n++) this.#seen[n % WINDOW] = 0;
    this.#seen[number % WINDOW] = 1;
    this.#newest = Math.max(this.#newest, number);
  }
}

/** The records of one datagram, headers included; what follows a cut one is left out. */
export function dtlsRecords(datagram: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at + DTLS_HEADER_BYTES <= datagram.length; ) {
    const end = at + DTLS_HEADER_BYTES + datagram.readUInt16BE(at + 11);
    if (end > datagram.length) break;
    records.push(datagram.subarray(at, end));
    at = end;
  }
  return records;
}

/** Whether it asks, in the clear, for a handshake from the start. */
export function isClientHello(record: Buffer): boolean {
  return record[0] === DTLS_TYPE.handshake && record[DTLS_HEADER_BYTES] === CLIENT_HELLO;
}

const isDtls = (byte: number) => byte >= 20 && byte < 64;
const STUN_HEADER_BYTES = 20;

/**
 * What a kernel joined of datagrams that carry DTLS or STUN (RFC 7983), apart again: runs of records, and messages. Of a
 * single datagram it makes one piece.
 */
export function splitJoined(bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  let begun = 0;
  for (let at = 0; at < bytes.length; ) {
    const dtls = isDtls(bytes[at] as number);
    const header = dtls ? DTLS_HEADER_BYTES : STUN_HEADER_BYTES;
    // Neither, or cut: whoever reads it decides.
    if (at + header > bytes.length || (!dtls && (bytes[at] as number) > 3)) break;
    const end = at + header + bytes.readUInt16BE(at + (dtls ? 11 : 2));
    if (end > bytes.length) break;
    if (!dtls) {
      if (begun < at) pieces.push(bytes.subarray(begun, at));
      pieces.push(bytes.subarray(at, end));
      begun = end;
    }
    at = end;
  }
  if (begun < bytes.length) pieces.push(bytes.subarray(begun));
  return pieces;
}
