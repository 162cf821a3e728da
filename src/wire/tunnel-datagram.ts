import { AEAD_TAG_BYTES, aead } from '../util/aead.js';
import { TUNNEL_REPLAY_WINDOW } from './tunnel-limits.js';
import { counterNonce } from './tunnel-record.js';

/** Neither UDX (0xff) nor STUN (first two bits 0), so that one socket serves all three. */
const MAGIC = 0xa7;
const HEADER_BYTES = 7;
const CHANNEL_BYTES = 4;
/** What a datagram adds to its payload: header, channel and tag. */
export const TUNNEL_DATAGRAM_OVERHEAD_BYTES = HEADER_BYTES + CHANNEL_BYTES + AEAD_TAG_BYTES;

/** What one datagram of a tunnel carries; channel 0 with no payload is the knock. */
export interface TunnelDatagram {
  readonly channel: number;
  readonly payload: Buffer;
}

/**
 * Seals datagrams: `0xa7 || counter (u48) || ChaCha20-Poly1305(channel (u32) || payload)`, where the first seven
 * bytes are authenticated too and the nonce is the counter.
 */
export class DatagramSealer {
  readonly #key: Buffer;
  #counter = 0;

  constructor(key: Buffer) {
    this.#key = key;
  }

  seal(channel: number, payload: Uint8Array): Buffer {
    const counter = this.#counter++;
    const sealed = Buffer.allocUnsafe(TUNNEL_DATAGRAM_OVERHEAD_BYTES + payload.length);
    sealed[0] = MAGIC;
    sealed.writeUIntBE(counter, 1, 6);
    const head = Buffer.allocUnsafe(CHANNEL_BYTES);
    head.writeUInt32BE(channel);
    const aad = sealed.subarray(0, HEADER_BYTES);
    aead().seal(sealed.subarray(HEADER_BYTES), this.#key, counterNonce(counter), [head, payload], aad);
    return sealed;
  }
}

/** Opens datagrams in any order, each once; one older than the window counts as seen. */
export class DatagramOpener {
  readonly #key: Buffer;
  readonly #seen = new Uint8Array(TUNNEL_REPLAY_WINDOW);
  #newest = -1;
  /** Not ours, forged or cut short; and seen before or too old. */
  bad = 0;
  replayed = 0;

  constructor(key: Buffer) {
    this.#key = key;
  }

  /** Undefined for anything that is not a fresh datagram of the peer; never throws. */
  open(data: Uint8Array): TunnelDatagram | undefined {
    if (data.length < TUNNEL_DATAGRAM_OVERHEAD_BYTES || data[0] !== MAGIC) {
      this.bad += 1;
      return undefined;
    }
    const datagram = Buffer.from(data.buffer, data.byteOffset, data.length);
    const counter = datagram.readUIntBE(1, 6);
    if (this.#known(counter)) {
      this.replayed += 1;
      return undefined;
    }
    const plain = this.#decrypt(datagram, counter);
    if (!plain) {
      this.bad += 1;
      return undefined;
    }
    this.#remember(counter);
    return { channel: plain.readUInt32BE(), payload: plain.subarray(CHANNEL_BYTES) };
  }

  #known(counter: number): boolean {
    if (counter > this.#newest) return false;
    return counter <= this.#newest - TUNNEL_REPLAY_WINDOW || this.#seen[counter % TUNNEL_REPLAY_WINDOW] === 1;
  }

  /** Only after the tag was right: a forger must not move the window. */
  #remember(counter: number): void {
    if (counter - this.#newest >= TUNNEL_REPLAY_WINDOW) this.#seen.fill(0);
    else for (let c = this.#newest + 1; c < counter; c++) this.#seen[c % TUNNEL_REPLAY_WINDOW] = 0;
    this.#newest = Math.max(this.#newest, counter);
    this.#seen[counter % TUNNEL_REPLAY_WINDOW] = 1;
  }

  #decrypt(datagram: Buffer, counter: number): Buffer | undefined {
    const aad = datagram.subarray(0, HEADER_BYTES);
    return aead().open(Buffer.from(datagram.subarray(HEADER_BYTES)), this.#key, counterNonce(counter), aad);
  }
}
