import { AwlError, errorText } from '../../errors.js';
import type { Logger } from '../../log.js';
import { backoffMs } from '../../util/backoff.js';
import { sleep } from '../../util/sleep.js';
import { orAbort } from './bounded.js';
import type { DhtLibrary } from './library.js';
import { ClientNode } from './node.js';
import type { Carrier } from './private.js';
import type { HyperdhtSettings } from './settings.js';
import { Station } from './station.js';

export interface KeeperOptions {
  readonly library: DhtLibrary;
  readonly carrier: Carrier | undefined;
  readonly settings: HyperdhtSettings;
  readonly log: Logger;
  /** Aborts when the rendezvous is closed. */
  readonly closing: AbortSignal;
}

/** The one node of a rendezvous, opened by whoever needs it first, and its station once somebody listens. */
export class NodeKeeper {
  readonly #options: KeeperOptions;
  #client: ClientNode | undefined;
  #opening: Promise<ClientNode> | undefined;
  #station: Station | undefined;
  #renewing = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  /** @throws AwlError as {@link ClientNode.open}; the signal's reason */
  async open(signal: AbortSignal): Promise<ClientNode> {
    if (this.#client) return this.#client;
    const { library, settings, carrier, closing } = this.#options;
    this.#opening ??= ClientNode.open(library, settings, carrier, closing);
    const opening = this.#opening;
    try {
      const client = await orAbort(opening, signal);
      if (this.#opening === opening) this.#client = client;
      return client;
    } catch (error) {
      // The next to ask tries again, unless only this one lost patience.
      if (!signal.aborted && this.#opening === opening) this.#opening = undefined;
      throw error;
    }
  }

  /** The node of the moment. */
  get client(): ClientNode {
    if (!this.#client) throw new AwlError('RENDEZVOUS_UNREACHABLE', 'the DHT node is being started anew');
    return this.#client;
  }

  /** The station, if somebody ever listened. */
  get station(): Station | undefined {
    return this.#station;
  }

  /** The station; it opens as soon as there is a node. */
  openStation(): Station {
    if (this.#station) return this.#station;
    const { library, carrier, log } = this.#options;
    const station = new Station({ library, carrier, log, onStale: () => void this.#renew(station) });
    this.#station = station;
    void this.#start(station);
    return station;
  }

  /** Takes leave of the network and closes everything. Never rejects. */
  async close(): Promise<void> {
    const client = await this.#opening?.catch(() => undefined);
    const station = this.#station;
    await client?.close(station && (() => station.leave()));
  }

  /** Tries until it works or the rendezvous is closed. */
  async #start(station: Station): Promise<void> {
    const { closing, log } = this.#options;
    for (let attempt = 0; !closing.aborted; attempt++) {
      try {
        const { node } = await this.open(closing);
        if (!closing.aborted) await station.start(node);
        return;
      } catch (error) {
        if (closing.aborted) return;
        log.debug(`the DHT node does not start: ${errorText(error)}`);
        await sleep(backoffMs(attempt), closing).catch(() => {});
      }
    }
  }

  /** A new node in place of one that does not come back by itself. */
  async #renew(station: Station): Promise<void> {
    if (this.#renewing || this.#options.closing.aborted) return;
    this.#renewing = true;
    this.#options.log.info('the DHT cannot be reached; starting the node anew');
    const before = this.#client;
    this.#client = undefined;
    this.#opening = undefined;
    await before?.close();
    await this.#start(station);
    this.#renewing = false;
  }
}
