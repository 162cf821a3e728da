import { WIDE_EVERY_MS } from './limits.js';

/** Peers whose last attempt is remembered; who makes more identities than this only shortens their own wait. */
const MAX_PEERS = 4_096;

/**
 * Keeps wide attempts (hundreds of sockets, a thousand probes) to one at a time in this process, and to one a minute
 * with each peer, however many invitations it signs (SECURITY.md, promise 4).
 */
export class BirthdayGate {
  readonly #last = new Map<string, number>();
  #holder: object | undefined;

  /** May `holder` begin an attempt with `peer` at `now` (ms, steady)? If so it holds the gate until {@link leave}. */
  enter(holder: object, peer: string, now: number): boolean {
    if (this.#holder === holder) return true;
    const last = this.#last.get(peer);
    if (this.#holder !== undefined || (last !== undefined && now < last + WIDE_EVERY_MS)) return false;
    // Who entered first stands first.
    for (const [name, at] of this.#last) {
      if (now < at + WIDE_EVERY_MS) break;
      this.#last.delete(name);
    }
    this.#last.delete(peer);
    if (this.#last.size >= MAX_PEERS) return false;
    this.#last.set(peer, now);
    this.#holder = holder;
    return true;
  }

  /** Idempotent; of no effect for who does not hold the gate. */
  leave(holder: object): void {
    if (this.#holder === holder) this.#holder = undefined;
  }
}

/** The gate of this process. */
export const birthdayGate = new BirthdayGate();
