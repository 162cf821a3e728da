import { OPENDHT_LISTEN_RENEW_MS, OPENDHT_LISTEN_SEARCH_MS } from '../../constants.js';
import { isAwlError } from '../../errors.js';
import type { Logger } from '../../log.js';
import { backoffMs } from '../../util/backoff.js';
import { type Endpoint, formatEndpoint } from '../../util/endpoint.js';
import { sleep } from '../../util/sleep.js';
import { type DhtValue, decodeValue } from '../../wire/opendht-value.js';
import type { DhtNetwork } from './network.js';
import type { DhtNode } from './node.js';
import type { Found } from './search.js';

export interface SubscriptionOptions {
  readonly network: DhtNetwork;
  readonly key: Buffer;
  /** Called for each value, and again for each node that brings it; must not throw. */
  readonly onValue: (value: DhtValue) => void;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Version of `listen` that sends values in requests, which are repeated until confirmed (spec opendht 3). */
const LISTEN_VERSION = 1;
/** Between tries at a family that does not work, while the other does not work either, and while it does. */
const RETRY_MAX_MS = 10_000;
const IDLE_RETRY_MAX_MS = 120_000;

/**
 * Listens for one key at the nodes nearest to it until the signal aborts. Nodes bring what they hold at once, and new
 * values within a round trip. A listener lives 30 s at a node, so it is renewed under the same socket id, with a
 * fresh token whenever a node no longer takes the old one.
 */
export class Subscription {
  readonly #options: SubscriptionOptions;
  /** Nodes of ours, one a family, whose listeners are in place. */
  readonly #working = new Set<DhtNode>();

  constructor(options: SubscriptionOptions) {
    this.#options = options;
  }

  /** Resolves when the signal aborts. */
  async run(): Promise<void> {
    const { network, signal } = this.#options;
    const running: Promise<void>[] = [];
    let unwatch = () => {};
    try {
      await new Promise<void>((resolve, reject) => {
        signal.addEventListener('abort', () => resolve(), { once: true });
        if (signal.aborted) resolve();
        unwatch = network.eachNode((node) => running.push(this.#runOn(node).catch(reject)));
      });
      await Promise.all(running);
    } finally {
      unwatch();
    }
  }

  async #runOn(node: DhtNode): Promise<void> {
    const { network, key, log, signal } = this.#options;
    /** Nodes that were asked to bring values. */
    const asked = new Set<string>();
    const registered = node.updates.register({
      expects: (from: Endpoint, hash) => asked.has(formatEndpoint(from)) && hash?.equals(key) === true,
      take: (values) => this.#take(values),
    });
    let places: Found[] = [];
    let searched = Number.NEGATIVE_INFINITY;
    let failures = 0;
    try {
      while (!signal.aborted) {
        if (places.length === 0 || performance.now() - searched > OPENDHT_LISTEN_SEARCH_MS) {
          searched = performance.now();
          const found = await network.search(node, { target: key, signal });
          if (found.length > 0) places = found;
        }
        // Before they are asked: an update may overtake the confirmation.
        for (const { endpoint } of places) asked.add(formatEndpoint(endpoint));
        const good = await this.#listenAt(node, places, registered.socketId);
        if (signal.aborted) return;
        if (good === places.length && good > 0) {
          if (failures > 1 && this.#working.size === 0) log.info('OpenDHT answers again');
          this.#working.add(node);
          failures = 0;
          this.#forget(asked, places);
          await sleep(OPENDHT_LISTEN_RENEW_MS, signal);
          continue;
        }
        // Somebody has gone or does not know us any more: look who is there now.
        places = [];
        if (good > 0) {
          await sleep(backoffMs(Math.min(2, failures++)), signal);
          continue;
        }
        this.#working.delete(node);
        const alone = this.#working.size === 0;
        const wait = backoffMs(failures++, { maxMs: alone ? RETRY_MAX_MS : IDLE_RETRY_MAX_MS });
        if (failures === 2 && alone) log.warning('no OpenDHT node answers; trying again until one does');
        await sleep(wait, signal);
        await network.join(signal).catch((error: unknown) => {
          if (isAwlError(error)) log.debug(`${error.message}`);
        });
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      registered.stop();
    }
  }

  /** Renews at all places; resolves to how many confirmed. */
  async #listenAt(node: DhtNode, places: readonly Found[], socketId: number): Promise<number> {
    const { key, signal } = this.#options;
    const answers = await Promise.all(
      places.map(({ endpoint, token }) =>
        node.ask(endpoint, 'listen', { h: key, token, sid: socketId, ve: LISTEN_VERSION }, { signal }),
      ),
    );
    return answers.filter(({ type }) => type === 'reply').length;
  }

  /** Nodes that are not listened at any more may still bring something while their listener lives: a few are kept. */
  #forget(asked: Set<string>, places: readonly Found[]): void {
    const now = new Set(places.map(({ endpoint }) => formatEndpoint(endpoint)));
    for (const oldest of asked) {
      if (asked.size <= 4 * Math.max(1, now.size)) return;
      if (!now.has(oldest)) asked.delete(oldest);
    }
  }

  #take(values: readonly Buffer[]): void {
    for (const bytes of values) {
      let value: DhtValue;
      try {
        value = decodeValue(bytes);
      } catch (error) {
        this.#options.log.trace(`an OpenDHT value is ignored: ${String(error)}`);
        continue;
      }
      this.#options.onValue(value);
    }
  }
}
