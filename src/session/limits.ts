import {
  PENALTY_BASE_MS,
  PENALTY_MAX_MS,
  SESSION_QUEUE,
  SESSION_QUEUE_PER_PEER,
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
  readonly queuePerPeer?: number;
  /** Failures in a row that cost nothing: a bad network is not an attack. */
  readonly freeFailures?: number;
}

interface PeerState {
  running: number;
  queued: number;
  failures: number;
  failedAt: number;
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
  readonly #queuePerPeer: number;
  readonly #freeFailures: number;
  readonly #peers = new Map<string, PeerState>();
  #running = 0;
  #queued = 0;

  constructor(options: LimitOptions = {}) {
    this.#perPeer = options.perPeer ?? SESSIONS_PER_PEER;
    this.#total = options.total ?? SESSIONS_TOTAL;
    this.#queueMax = options.queue ?? SESSION_QUEUE;
    this.#queuePerPeer = options.queuePerPeer ?? SESSION_QUEUE_PER_PEER;
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
    if (this.hasRoom(peer)) return { verdict: 'start' };
    const { running, queued } = state ?? NOBODY;
    if (running >= this.#perPeer && queued >= this.#queuePerPeer) {
      const reason = `${running} sessions of this peer are being set up already, and ${queued} wait`;
      return { verdict: 'refuse', reason };
    }
    if (this.#queued >= this.#queueMax) {
      return { verdict: 'refuse', reason: `${this.#running} sessions run and ${this.#queued} wait already` };
    }
    this.#queued += 1;
    this.#state(peer).queued += 1;
    return { verdict: 'queue' };
  }

  /** May one more session of `peer` start? */
  hasRoom(peer: string): boolean {
    return (this.#peers.get(peer)?.running ?? 0) < this.#perPeer && this.#running < this.#total;
  }

  /** Gives back a place in the queue. */
  dequeue(peer: string): void {
    this.#queued = Math.max(0, this.#queued - 1);
    const state = this.#peers.get(peer);
    if (!state) return;
    state.queued = Math.max(0, state.queued - 1);
    this.#forget(peer, state);
  }

  started(peer: string): void {
    this.#running += 1;
    this.#state(peer).running += 1;
  }

  /** A session's set-up is over; failures in a row block the peer for 5 s, 10 s, 20 s … 15 min; 15 quiet minutes end the row. */
  ended(peer: string, outcome: 'passage' | 'failed', now: number): void {
    this.#running = Math.max(0, this.#running - 1);
    const state = this.#peers.get(peer);
    if (!state) return;
    state.running = Math.max(0, state.running - 1);
    if (outcome === 'passage') {
      state.failures = 0;
      state.blockedUntil = 0;
      this.#forget(peer, state);
      return;
    }
    // Who tries now and then, as for a way around a relay, begins anew.
    if (now - state.blockedUntil > PENALTY_MAX_MS && now - state.failedAt > PENALTY_MAX_MS)
      state.failures = 0;
    state.failedAt = now;
    state.failures += 1;
    const excess = state.failures - this.#freeFailures;
    if (excess > 0) {
      state.blockedUntil = now + Math.min(PENALTY_MAX_MS, PENALTY_BASE_MS * 2 ** (excess - 1));
    }
  }

  #state(peer: string): PeerState {
    const state = this.#peers.get(peer) ?? { ...NOBODY };
    this.#peers.set(peer, state);
    return state;
  }

  #forget(peer: string, { running, queued, failures }: PeerState): void {
    if (running === 0 && queued === 0 && failures === 0) this.#peers.delete(peer);
  }
}

const NOBODY: PeerState = { running: 0, queued: 0, failures: 0, failedAt: 0, blockedUntil: 0 };
