import {
  TUNNEL_FIRST_CREDIT_BYTES,
  TUNNEL_WINDOW_BYTES,
  TUNNEL_WINDOW_MAX_BYTES,
  TUNNEL_WINDOW_MS,
  TUNNEL_WINDOWS_BYTES,
} from '../wire/tunnel-limits.js';

/**
 * How much the peer may send on all channels together. Every channel has its first credit whatever happens; what
 * goes beyond comes out of one budget, so that many channels cannot fill memory.
 */
export class WindowBudget {
  #left = TUNNEL_WINDOWS_BYTES;

  /** Up to `bytes`, less where the budget ends. */
  take(bytes: number): number {
    const granted = Math.min(bytes, this.#left);
    this.#left -= granted;
    return granted;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

/** The receive window of one channel: what the peer may still send, and what was read but not yet granted anew. */
export class ReceiveWindow {
  readonly #budget: WindowBudget;
  #size = TUNNEL_FIRST_CREDIT_BYTES;
  #allowed = TUNNEL_FIRST_CREDIT_BYTES;
  #read = 0;
  /** Granted anew since `since`. */
  #turn = 0;
  #since: number;

  constructor(budget: WindowBudget, now: number) {
    this.#budget = budget;
    this.#since = now;
  }

  get allowed(): number {
    return this.#allowed;
  }

  /** What to grant as soon as the channel stands. */
  initial(): number {
    return this.#grow(TUNNEL_WINDOW_BYTES - TUNNEL_FIRST_CREDIT_BYTES);
  }

  /** False if the peer sent more than it was granted. */
  arrived(bytes: number): boolean {
    if (bytes > this.#allowed) return false;
    this.#allowed -= bytes;
    return true;
  }

  /**
   * The reader took `bytes` at `now`, ms; yields the credit to announce now, 0 while it is not worth a frame. A whole
   * window that was taken within TUNNEL_WINDOW_MS may be what holds the sender back, whatever the round trip: it doubles.
   */
  consumed(bytes: number, now: number): number {
    this.#read += bytes;
    if (this.#read < this.#size / 4) return 0;
    const grant = this.#read;
    this.#read = 0;
    this.#allowed += grant;
    this.#turn += grant;
    if (this.#turn < this.#size) return grant;
    const quick = now - this.#since < TUNNEL_WINDOW_MS;
    this.#since = now;
    this.#turn = 0;
    return grant + (quick ? this.#grow(Math.min(this.#size, TUNNEL_WINDOW_MAX_BYTES - this.#size)) : 0);
  }

  /** Gives the share of the budget back. */
  close(): void {
    this.#budget.give(this.#size - TUNNEL_FIRST_CREDIT_BYTES);
    this.#size = TUNNEL_FIRST_CREDIT_BYTES;
  }

  #grow(bytes: number): number {
    const granted = this.#budget.take(bytes);
    this.#size += granted;
    this.#allowed += granted;
    return granted;
  }
}
