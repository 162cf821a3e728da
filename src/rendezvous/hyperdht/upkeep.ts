import { randomBytes } from 'node:crypto';
import { errorText } from '../../errors.js';
import type { Logger } from '../../log.js';
import { deadline, sleep } from '../../util/sleep.js';
import { abreast } from './abreast.js';
import { orAbort } from './bounded.js';
import { decodeReply, encodeKnock } from './knock.js';
import type { DhtAddress, DhtKeyPair, DhtLibrary, DhtNode, DhtServer } from './library.js';
import {
  DHT_ANNOUNCE_MS,
  DHT_CHECK_MS,
  DHT_CHECK_RECORDS_MS,
  DHT_CHECK_SOON_MS,
  DHT_KNOCK_MS,
  DHT_QUERY_RETRIES,
  DHT_SETTLE_MS,
  DHT_STALE_MS,
} from './limits.js';
import type { Place } from './place.js';
import type { Carrier } from './private.js';

/** Announcements under way at once, when there are many identities. */
const ABREAST = 4;

export interface UpkeepOptions {
  readonly library: DhtLibrary;
  readonly node: DhtNode;
  readonly server: DhtServer;
  readonly keyPair: DhtKeyPair;
  readonly carrier: Carrier | undefined;
  /** Gate and id of knocks at our own door. */
  readonly echo: { readonly gate: Buffer; readonly id: Buffer };
  readonly log: Logger;
  /** The node does not come back by itself. */
  readonly onStale: () => void;
}

/**
 * Keeps an acceptor findable. HyperDHT keeps the path to three relays open, but does not notice when a relay was
 * restarted or when our NAT moved us: so we knock at our own door, through one relay after the other.
 */
export class Upkeep {
  readonly #options: UpkeepOptions;
  readonly #places = new Map<Place, { relays: string; at: number }>();
  #wake = () => {};
  #hurried = false;

  constructor(options: UpkeepOptions) {
    this.#options = options;
  }

  /** Begins to announce us under the place's topic. */
  add(place: Place): void {
    this.#places.set(place, { relays: '', at: Number.NEGATIVE_INFINITY });
    this.hurry();
  }

  remove(place: Place): void {
    if (!this.#places.delete(place)) return;
    const { node, keyPair } = this.#options;
    if (!node.destroyed)
      node.unannounce(place.topic, keyPair, { retries: DHT_QUERY_RETRIES }).catch(() => {});
  }

  /** Something may have changed: look now. */
  hurry(): void {
    this.#hurried = true;
    this.#wake();
  }

  /** Until the signal aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { node, server } = this.#options;
    // A machine that slept does not know for how long: nodes may have forgotten what our clock calls fresh.
    let lapsed = false;
    const renew = () => {
      lapsed = true;
      server.refresh();
      this.hurry();
    };
    node.on('network-change', renew);
    node.on('wakeup', renew);
    let good = performance.now();
    let healthy = true;
    try {
      for (let turn = 0; !signal.aborted; turn++) {
        const all = lapsed;
        lapsed = false;
        await this.#announce(all, signal);
        const found = await this.#check(turn, signal);
        if (signal.aborted) return;
        if (found) {
          good = performance.now();
          // A relay that forgot us was restarted; so may have been nodes that held our announcements.
          if (!healthy) await this.#announce(true, signal);
        } else {
          server.refresh();
          if (healthy)
            this.#options.log.debug('the way to us through the DHT is interrupted; announcing anew');
          if (node.destroyed || performance.now() - good > DHT_STALE_MS) this.#options.onStale();
        }
        healthy = found;
        await this.#pause(found ? this.#restMs : DHT_CHECK_SOON_MS, signal);
      }
    } finally {
      node.off('network-change', renew);
      node.off('wakeup', renew);
    }
  }

  /** Withdraws the announcements. */
  async leave(): Promise<void> {
    const { node, keyPair } = this.#options;
    await Promise.allSettled(
      [...this.#places.keys()].map(({ topic }) =>
        node.unannounce(topic, keyPair, { retries: DHT_QUERY_RETRIES }),
      ),
    );
  }

  get #restMs(): number {
    return this.#options.carrier ? DHT_CHECK_MS : DHT_CHECK_RECORDS_MS;
  }

  /** Relays other than ourselves: a node that can be reached directly names itself, too. */
  #relays(): DhtAddress[] {
    const own = this.#options.node.remoteAddress();
    return this.#options.server.relayAddresses.filter(
      ({ host, port }) => host !== own?.host || port !== own.port,
    );
  }

  /** True if a knock at our own door comes in. */
  async #check(turn: number, signal: AbortSignal): Promise<boolean> {
    const { library, node, keyPair, carrier, echo } = this.#options;
    const relays = this.#relays();
    const relay = relays[turn % relays.length];
    if (!relay) return false;
    const limit = deadline(DHT_KNOCK_MS, () => new Error('silence'), signal);
    try {
      if (!carrier) return await orAbort(this.#isListed(relays), limit.signal);
      const to = { publicKey: keyPair.publicKey, relay };
      const payload = encodeKnock({ op: 'echo', ...echo });
      const reply = decodeReply(await carrier.ask(node, to, library.keyPair(), payload, limit.signal));
      return reply?.op === 'echo';
    } catch (error) {
      this.#options.log.trace(
        `knock at our own door through ${relay.host}:${relay.port}: ${errorText(error)}`,
      );
      return false;
    } finally {
      limit.dispose();
    }
  }

  /** True if a node still knows that we are announced: all that can be asked without the library's inside. */
  async #isListed(relays: readonly DhtAddress[]): Promise<boolean> {
    const { node, keyPair } = this.#options;
    const query = node.findPeer(keyPair.publicKey, { nodes: relays, retries: DHT_QUERY_RETRIES });
    query.on('error', () => {});
    for await (const _found of query) return true;
    return false;
  }

  /** Announces what is due: what was added, what is old, everything when relays changed or `all` is asked for. */
  async #announce(all: boolean, signal: AbortSignal): Promise<void> {
    const { node, keyPair, carrier, log } = this.#options;
    const addresses = this.#options.server.relayAddresses;
    if (addresses.length === 0) return;
    const relays = addresses.map(({ host, port }) => `${host}:${port}`).join();
    const now = performance.now();
    const due = [...this.#places].filter(
      ([, last]) => all || last.relays !== relays || now - last.at > DHT_ANNOUNCE_MS,
    );
    await abreast(due, ABREAST, async ([place]) => {
      if (signal.aborted) return;
      try {
        // No relays: that is how an acceptor says that it reads records only.
        const announced = carrier ? addresses : [];
        const announcing = node.announce(place.topic, keyPair, announced, { retries: DHT_QUERY_RETRIES });
        announcing.on('error', () => {});
        await orAbort(
          announcing.finished(),
          AbortSignal.any([signal, AbortSignal.timeout(2 * DHT_SETTLE_MS)]),
        );
        if (this.#places.has(place)) this.#places.set(place, { relays, at: performance.now() });
      } catch (error) {
        if (!signal.aborted) log.debug(`announcing failed: ${errorText(error)}`);
      }
    });
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.#hurried) {
      const patience = new AbortController();
      this.#wake = () => patience.abort();
      await sleep(ms, AbortSignal.any([signal, patience.signal])).catch(() => {});
      this.#wake = () => {};
    }
    this.#hurried = false;
  }
}

/** Fresh random names for knocks at one's own door. */
export function newEcho(): UpkeepOptions['echo'] {
  return { gate: randomBytes(16), id: randomBytes(16) };
}
