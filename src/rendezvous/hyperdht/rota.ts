import type { DhtPeer } from './library.js';
import {
  DHT_COURIER_TURN_MS,
  DHT_COURIERS_MAX,
  DHT_SILENT_PAUSE_MAX_MS,
  DHT_SILENT_PAUSE_MS,
} from './limits.js';

/** Acceptors that wait for a visit, and acceptors remembered with how often they were silent. */
const WAITING_MAX = 2_000;
const PAST_MAX = 2_000;

export interface RotaOptions {
  /** Milliseconds of a clock that does not jump. */
  readonly now: () => number;
  /** One visit to one acceptor; done for good when it resolves, tried again when it rejects. */
  readonly visit: (peer: DhtPeer, signal: AbortSignal) => Promise<void>;
  readonly onFailure: (peer: DhtPeer, error: unknown) => void;
  readonly signal: AbortSignal;
}

interface Candidate {
  readonly name: string;
  readonly peer: DhtPeer;
  readonly failures: number;
}

interface Visit {
  readonly since: number;
  readonly stop: AbortController;
}

/** What came of earlier visits to one. */
interface Past {
  readonly failures: number;
  /** Not to be visited before; after an answer never. */
  readonly notBefore: number;
}

/**
 * Whom to visit when: as many side by side as allowed; with more, whoever has had its turn makes room, so that no
 * number of silent or lingering strangers keeps out the one who answers. Who fails is visited less and less often.
 */
export class Rota {
  readonly #options: RotaOptions;
  readonly #waiting = new Map<string, Candidate>();
  readonly #visits = new Map<string, Visit>();
  readonly #past = new Map<string, Past>();

  constructor(options: RotaOptions) {
    this.#options = options;
  }

  /** Visits `peer` now or when there is room, unless it is being visited, is done or was silent just now. */
  add(peer: DhtPeer): void {
    const name = peer.publicKey.toString('hex');
    if (this.#visits.has(name) || this.#waiting.has(name) || this.#waiting.size >= WAITING_MAX) return;
    const { failures = 0, notBefore = 0 } = this.#past.get(name) ?? {};
    if (this.#options.now() < notBefore) return;
    this.#waiting.set(name, { name, peer, failures });
    this.turn();
  }

  /** Begins the visits that there is room for; ends those that have had their time if others wait. */
  turn(): void {
    const { now, signal } = this.#options;
    if (signal.aborted) return;
    if (this.#waiting.size > DHT_COURIERS_MAX - this.#visits.size) {
      for (const { since, stop } of this.#visits.values()) {
        if (now() - since >= DHT_COURIER_TURN_MS) stop.abort(new Error('it is the turn of others'));
      }
    }
    while (this.#waiting.size > 0 && this.#visits.size < DHT_COURIERS_MAX) {
      const next = this.#next();
      if (!next) return;
      this.#waiting.delete(next.name);
      void this.#visit(next);
    }
  }

  /** Who never failed comes first, then who has waited longest. */
  #next(): Candidate | undefined {
    let best: Candidate | undefined;
    for (const candidate of this.#waiting.values()) {
      if (candidate.failures === 0) return candidate;
      if (!best || candidate.failures < best.failures) best = candidate;
    }
    return best;
  }

  async #visit({ name, peer, failures }: Candidate): Promise<void> {
    const { now, visit, onFailure, signal } = this.#options;
    const stop = new AbortController();
    this.#visits.set(name, { since: now(), stop });
    try {
      await visit(peer, AbortSignal.any([signal, stop.signal]));
      this.#remember(name, { failures, notBefore: Number.POSITIVE_INFINITY });
    } catch (error) {
      const pause = Math.min(DHT_SILENT_PAUSE_MS * 2 ** Math.min(failures, 10), DHT_SILENT_PAUSE_MAX_MS);
      this.#remember(name, { failures: failures + 1, notBefore: now() + pause });
      if (!signal.aborted) onFailure(peer, error);
    } finally {
      this.#visits.delete(name);
      this.turn();
    }
  }

  #remember(name: string, past: Past): void {
    this.#past.delete(name);
    this.#past.set(name, past);
    for (const oldest of this.#past.keys()) {
      if (this.#past.size <= PAST_MAX) break;
      this.#past.delete(oldest);
    }
  }
}
