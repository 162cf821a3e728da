import { setMaxListeners } from 'node:events';
import {
  OPENDHT_CLOSEST,
  OPENDHT_PARALLEL,
  OPENDHT_SEARCH_MAX,
  OPENDHT_SEARCH_MS,
  OPENDHT_SLOW_MS,
} from '../../constants.js';
import { type Endpoint, formatEndpoint } from '../../util/endpoint.js';
import type { DhtNode } from './node.js';
import { type Contact, closest } from './routing.js';
import { reachable } from './scope.js';

/** A node next to the target that answered, with its token: what `put` and `listen` there need. */
export interface Found extends Contact {
  readonly token: Buffer;
  /** Values that it holds, of those that were asked for. */
  readonly values: readonly Buffer[];
}

export interface SearchOptions {
  readonly target: Buffer;
  /** Ask for the value of this id on the way; else only for nodes. */
  readonly valueId?: bigint;
  /** Where to begin. */
  readonly seeds: readonly Endpoint[];
  readonly signal: AbortSignal;
}

interface Candidate {
  /** Absent for seeds of which only the address is known. */
  readonly id: Buffer | undefined;
  readonly endpoint: Endpoint;
  state: 'new' | 'asked' | 'slow' | 'over';
}

/** Field 1 of a query's filter is the value id (spec opendht 7). */
const BY_VALUE_ID = 1;
/** Address families as `w` names them. */
export const WANT = { 4: 2, 6: 10 } as const;

/**
 * The iterative search of Kademlia (spec opendht 4): asks the nearest known nodes for nearer ones until the nearest
 * have answered. Nodes that are slow hold up nobody. Never rejects.
 * @returns the nearest that answered with a token, nearest first; none if nobody did
 */
export async function search(node: DhtNode, options: SearchOptions): Promise<Found[]> {
  const run = new Search(node, options);
  return run.result();
}

class Search {
  readonly #node: DhtNode;
  readonly #options: SearchOptions;
  readonly #candidates = new Map<string, Candidate>();
  readonly #found: Found[] = [];
  readonly #over = new AbortController();
  readonly #timers = new Set<NodeJS.Timeout>();
  #asked = 0;
  #wake: () => void = () => {};

  constructor(node: DhtNode, options: SearchOptions) {
    this.#node = node;
    this.#options = options;
    // One listener a question is what it is for.
    setMaxListeners(0, this.#over.signal);
    for (const endpoint of options.seeds) this.#add(undefined, endpoint);
    for (const { id, endpoint } of node.table.closest(options.target, 2 * OPENDHT_CLOSEST))
      this.#add(id, endpoint);
  }

  async result(): Promise<Found[]> {
    const { signal, target } = this.#options;
    const limit = performance.now() + OPENDHT_SEARCH_MS;
    const timer = setTimeout(() => this.#wake(), OPENDHT_SEARCH_MS);
    const onAbort = () => this.#wake();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      while (!signal.aborted && performance.now() < limit) {
        this.#askMore();
        if (this.#settled()) break;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
      for (const slow of this.#timers) clearTimeout(slow);
      signal.removeEventListener('abort', onAbort);
      this.#over.abort();
    }
    return closest(this.#found, target);
  }

  #add(id: Buffer | undefined, endpoint: Endpoint): void {
    const key = formatEndpoint(endpoint);
    const known = this.#candidates.get(key);
    if (known?.id || id?.equals(this.#node.id) || (known && known.state !== 'new')) return;
    this.#candidates.set(key, { id, endpoint, state: 'new' });
  }

  #count(state: Candidate['state']): number {
    return [...this.#candidates.values()].filter((candidate) => candidate.state === state).length;
  }

  /** What is to be asked next: seeds, then whatever is among the nearest once silent ones are left out. */
  #next(): Candidate[] {
    const all = [...this.#candidates.values()];
    const seeds = all.filter(({ id, state }) => !id && state === 'new');
    const alive = all.filter(({ state }) => state === 'new' || state === 'asked');
    const ranked = [
      ...this.#found,
      ...alive.flatMap((each) => (each.id ? [{ ...each, id: each.id, each }] : [])),
    ];
    const nearest = closest(ranked, this.#options.target);
    const fresh = nearest.flatMap((place) =>
      'each' in place && place.each.state === 'new' ? [place.each] : [],
    );
    return [...seeds, ...fresh];
  }

  #askMore(): void {
    const room = OPENDHT_PARALLEL - this.#count('asked');
    for (const candidate of this.#next().slice(0, Math.max(0, room))) {
      if (this.#asked >= OPENDHT_SEARCH_MAX) return;
      this.#asked++;
      candidate.state = 'asked';
      void this.#ask(candidate);
    }
  }

  /** Nothing is left to ask and nobody quick to wait for; for slow ones only while there is no answer at all. */
  #settled(): boolean {
    if (this.#count('asked') > 0) return false;
    if (this.#asked < OPENDHT_SEARCH_MAX && this.#next().length > 0) return false;
    return this.#found.length > 0 || this.#count('slow') === 0;
  }

  async #ask(candidate: Candidate): Promise<void> {
    const { target, valueId, seeds } = this.#options;
    const slow = setTimeout(() => {
      if (candidate.state === 'asked') candidate.state = 'slow';
      this.#wake();
    }, OPENDHT_SLOW_MS);
    this.#timers.add(slow);
    const w = [WANT[this.#node.family]];
    const where = { s: [], w: [{ f: BY_VALUE_ID, v: valueId ?? 0 }] };
    const asking =
      valueId === undefined
        ? this.#node.ask(candidate.endpoint, 'find', { target, w }, this.#how(candidate, seeds))
        : this.#node.ask(candidate.endpoint, 'get', { h: target, q: where, w }, this.#how(candidate, seeds));
    const answer = await asking;
    clearTimeout(slow);
    this.#timers.delete(slow);
    candidate.state = 'over';
    if (answer.type === 'reply') {
      const { body, values } = answer;
      const { endpoint } = candidate;
      if (body.token) this.#found.push({ id: body.id, endpoint, token: body.token, values });
      for (const named of this.#node.family === 4 ? body.nodes4 : body.nodes6) {
        const place = reachable(named.endpoint, endpoint);
        if (place) this.#add(named.id, place);
      }
    }
    this.#wake();
  }

  #how({ id }: Candidate, seeds: readonly Endpoint[]) {
    return { signal: this.#over.signal, ...(!id && seeds.length > 0 && { trusted: true }) };
  }
}
