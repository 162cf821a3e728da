import { RoundTrip } from '../../util/round-trip.js';
import {
  CWND_FIRST_BYTES,
  CWND_LEAST_BYTES,
  CWND_MAX_BYTES,
  CWND_QUEUE_BYTES,
  PIECE_BYTES,
  QUEUE_MS,
  QUEUE_ROUNDS,
  RTO_FIRST_MS,
  RTO_LEAST_MS,
  RTO_MAX_MS,
} from './limits.js';

/** How much may be under way, and how long to wait for news of it (RFC 9260 sections 6.3 and 7.2). */
export class CongestionWindow {
  #cwnd = CWND_FIRST_BYTES;
  #threshold = CWND_MAX_BYTES;
  #partial = 0;
  readonly #trip = new RoundTrip();
  #least = Number.POSITIVE_INFINITY;
  #late = 0;
  #backoff = 1;
  /** Before a timeout that may have been none. */
  #before: { readonly cwnd: number; readonly threshold: number } | undefined;

  get bytes(): number {
    return this.#cwnd;
  }

  /** Milliseconds until what was sent counts as lost. */
  get timeout(): number {
    const { ms, variation } = this.#trip;
    const rto =
      ms === undefined ? RTO_FIRST_MS : Math.max(RTO_LEAST_MS, ms + 4 * variation + RTO_LEAST_MS / 2);
    return Math.min(rto * this.#backoff, RTO_MAX_MS);
  }

  /** `bytes` arrived; `full` says that the window was what held more back. */
  acknowledged(bytes: number, full: boolean): void {
    this.#backoff = 1;
    this.#before = undefined;
    if (!full) return;
    if (this.#cwnd < this.#threshold) this.#cwnd += bytes;
    else {
      this.#partial += bytes;
      if (this.#partial >= this.#cwnd) {
        this.#partial -= this.#cwnd;
        this.#cwnd += PIECE_BYTES;
      }
    }
    this.#cwnd = Math.min(this.#cwnd, CWND_MAX_BYTES);
  }

  /** One round trip, in milliseconds. Where a queue grows behind a full window, slow start ends before it overflows. */
  measured(ms: number, full: boolean): void {
    this.#trip.measured(ms);
    this.#least = Math.min(this.#least, ms);
    const late = full && ms > this.#least + Math.max(QUEUE_MS, this.#least / 8);
    this.#late = late ? this.#late + 1 : 0;
    // A machine that was busy for a moment looks the same: a small window is no queue.
    if (this.#late >= QUEUE_ROUNDS && this.#cwnd >= CWND_QUEUE_BYTES)
      this.#threshold = Math.min(this.#threshold, this.#cwnd);
  }

  /** Something was lost, for the first time in this window. */
  lost(): void {
    this.#threshold = Math.max(this.#cwnd / 2, 2 * CWND_LEAST_BYTES);
    this.#cwnd = this.#threshold;
    this.#partial = 0;
  }

  /** Nothing was heard for the whole timeout. */
  silent(): void {
    // Again: what there was before the first time is what counts.
    this.#before ??= { cwnd: this.#cwnd, threshold: this.#threshold };
    if (this.#backoff === 1) this.lost();
    this.#cwnd = CWND_LEAST_BYTES;
    this.#backoff *= 2;
  }

  /** What was given up came without being sent again: the network, or a machine, was only slow (RFC 4015). */
  spurious(): void {
    if (!this.#before) return;
    this.#cwnd = this.#before.cwnd;
    this.#threshold = this.#before.threshold;
    this.#before = undefined;
  }
}
