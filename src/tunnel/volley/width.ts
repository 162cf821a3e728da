import { TUNNEL_DATAGRAM_OVERHEAD_BYTES, type TunnelDatagram } from '../../wire/tunnel-datagram.js';
import { SEGMENT_BYTES, VOLLEY_PREFIX_BYTES } from '../../wire/volley.js';
import {
  WIDTH_AFTER_SEGMENTS,
  WIDTH_AGAIN_MS,
  WIDTH_LOST_BYTES,
  WIDTH_LOST_MS,
  WIDTH_TRIES,
  WIDTH_TRY_MS,
  WIDTHS,
} from './limits.js';

/** Channels of sealed probes: zero bytes up to a size, and the size that came. */
const PROBE = 2;
const PASSED = 3;
const OVERHEAD_BYTES = VOLLEY_PREFIX_BYTES + TUNNEL_DATAGRAM_OVERHEAD_BYTES;

/**
 * How wide segments may be: packets of several sizes go ahead, and the largest that the peer says it got counts
 * (RFC 8899). A peer that knows nothing of them says nothing. Pure; bytes of UDP payload and ms.
 */
export class Width {
  readonly #sizes: readonly number[];
  readonly #send: (channel: number, payload: Uint8Array) => void;
  #known = SEGMENT_BYTES;
  #tries = 0;
  #nextAt = 0;

  /** `most` is what the own network takes; `send` seals a probe or an answer, and sends it in one piece or not at all. */
  constructor(most: number, send: (channel: number, payload: Uint8Array) => void) {
    this.#sizes = WIDTHS.filter((size) => size <= most);
    this.#send = send;
  }

  /** The largest size that is known to pass. */
  get known(): number {
    return this.#known;
  }

  /** Tries sizes if it is time to, when so many segments were sent. */
  look(now: number, sent: number, rttMs: number): void {
    if (sent < WIDTH_AFTER_SEGMENTS || now < this.#nextAt) return;
    this.#tries += 1;
    const last = this.#tries % WIDTH_TRIES === 0;
    this.#nextAt = now + (last ? WIDTH_AGAIN_MS : Math.max(WIDTH_TRY_MS, 3 * rttMs));
    for (const size of this.#sizes) {
      if (size > this.#known) this.#send(PROBE, new Uint8Array(size - OVERHEAD_BYTES));
    }
  }

  /** Answers a probe of the peer, or learns from its answer. */
  take({ channel, payload }: TunnelDatagram): void {
    if (channel === PROBE) {
      const size = Buffer.alloc(2);
      size.writeUInt16BE(payload.length + OVERHEAD_BYTES);
      this.#send(PASSED, size);
    } else if (channel === PASSED && payload.length === 2) {
      const size = payload.readUInt16BE();
      if (this.#sizes.includes(size)) this.#known = Math.max(this.#known, size);
    }
  }

  /** What was known to pass does not any more: all of it is tried again. */
  shrank(): void {
    this.#known = SEGMENT_BYTES;
    this.#tries = 0;
    this.#nextAt = 0;
  }
}

/** Tells a path that became narrow from one that loses packets. Pure. */
export class WideLoss {
  /** Of segments wider than every path takes, lost since one of them arrived. */
  bytes = 0;
  #since = 0;

  /** A report came, and all that it tells was counted. */
  known(now: number): void {
    if (this.bytes === 0) this.#since = now;
  }

  /** Shorter packets arrive, and wide ones do not, for longer than a queue overflows. */
  tooMuch(now: number, rttMs: number): boolean {
    return this.bytes > WIDTH_LOST_BYTES && now - this.#since > Math.max(WIDTH_LOST_MS, 4 * rttMs);
  }
}
