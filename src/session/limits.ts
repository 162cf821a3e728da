import {
  PENALTY_BASE_MS,
  PENALTY_MAX_MS,
  SESSION_QUEUE,
  SESSIONS_PER_PEER,
  SESSIONS_TOTAL,
} from '../constants.js';

export type Admission =
  | { readonly verdict: 'start' }
  | { readonly verdict: 'queue' }
  | { readonly verdict: 'refuse'; readonly reason: string };

export interface LimitOptions {
  readonly perPeer?: number;
  readonly total?: number;
  readonly queue?: number;
  /** Failures in a row that cost nothing: a bad network is not an attack. */
  readonly freeFailures?: number;
}

interface PeerState {
  running: number;
  failures: number;
  blockedUntil: number;
}

/**
 * Decides whether a *verified* invitation starts a session now, waits, or is refused, so that no identity can
 * exhaust an acceptor (RELIABILITY section 4). Pure: times are milliseconds handed in.
 */
export class SessionLimits {
  readonly #perPeer: number;
  readonly #total: number;
  readonly #queueMax: number;
  readonly #freeFailures: number;
  readonly #peers = new Map<string, PeerState>();
  #running = 0;
  #queued = 0;

  constructor(options: LimitOptions = {}) {
    this.#perPeer = options.perPeer ?? SESSIONS_PER_PEER;
    this.#total = options.total ?? SESSIONS_TOTAL;
    this.#queueMax = options.queue ?? SESSION_QUEUE;
    this.#freeFailures = options.freeFailures ?? 3;
  }

  get running(): number {
    return this.#running;
  }

  get queued(): number {
    return this.#queued;
  }

  /** What to do with an invitation of `peer` at `now`; `queue` reserves a place that {@link dequeue} gives back. */
  admit(peer: string, now: number): Admission {
    const state = this.#peers.get(peer);
    if (state && state.blockedUntil > now) {
      const seconds = Math.ceil((state.blockedUntil - now) / 1000);
      return {
        verdict: 'refuse',
        reason: `${state.failures} sessions failed in a row; next try in ${seconds} s`,
      };
    }
    if (state && state.running >= this.#perPeer) {
      return { verdict: 'refuse', reason: `${state.running} sessions of this peer are being set up already` };
    }
    if (this.#running >= this.#total) {
      if (this.#queued >= this.#queueMax) {
        return {
          verdict: 'refuse',
          reason: `${this.#running} sessions run and ${this.#queued} wait already`,
        };
      }
      this.#queued += 1;
      return { verdict: 'queue' };
    }
    return { verdict: 'start' };
  }

  /** Gives back a place in the queue. */
  dequeue(): void {
    this.#queued = Math.max(0, this.#queued - 1);
  }

  started(peer: string): void {
    this.#running += 1;
    const state = this.#peers.get(peer) ?? { running: 0, failures: 0, blockedUntil: 0 };
    state.running += 1;
    this.#peers.set(peer, state);
  }

  /** A session's set-up is over; failures in a row block the peer for 5 s, 10 s, 20 s … 15 min. */
  ended(peer: string, outcome: 'passage' | 'failed', now: number): void {
    this.#running = Math.max(0, this.#running - 1);
    const state = this.#peers.get(peer);
    if (!state) return;
    state.running = Math.max(0, state.running - 1);
    if (outcome === 'passage') {
      state.failures = 0;
      state.blockedUntil = 0;
      if (state.running === 0) this.#peers.delete(peer);
      return;
    }
    state.failures += 1;
    const excess = state.failures - this.#freeFailures;
    if (excess > 0) {
      state.blockedUntil = now + Math.min(PENALTY_MAX_MS, PENALTY_BASE_MS * 2 ** (excess - 1));
    }
  }
}
