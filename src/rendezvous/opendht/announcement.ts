import { OPENDHT_ANNOUNCE_AT_MS, OPENDHT_PUSH_GRACE_MS } from '../../constants.js';
import type { Logger } from '../../log.js';
import { formatEndpoint } from '../../util/endpoint.js';
import { sleep } from '../../util/sleep.js';
import { type DhtValue, decodeValue, encodeValue } from '../../wire/opendht-value.js';
import type { DhtNetwork } from './network.js';
import type { DhtNode } from './node.js';
import type { Found } from './search.js';

export interface AnnouncementOptions {
  readonly network: DhtNetwork;
  readonly key: Buffer;
  readonly dat: Buffer;
  readonly valueId: bigint;
  /** Yields another id where a foreign value has ours, for the nth time: a node keeps the value that came first. */
  readonly anotherId: (nth: number) => bigint;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

const ID_CHANGES_MAX = 3;

/**
 * One value on the nodes nearest to its key. A node confirms a `put` even when it throws the value away, so the value
 * is looked for later, and put again where it is missing.
 */
export class Announcement {
  readonly #options: AnnouncementOptions;
  #id: bigint;
  #idChanges = 0;

  constructor(options: AnnouncementOptions) {
    this.#options = options;
    this.#id = options.valueId;
  }

  /** The present id. */
  get id(): bigint {
    return this.#id;
  }

  /** Puts the value once; resolves to whether a node has it, as soon as one of either family has. */
  async publish(): Promise<boolean> {
    const rounds = this.#options.network.nodes.map(async (node) => {
      if ((await this.#round(node)) === 0) throw new Error('no node took it');
    });
    return Promise.any(rounds).then(
      () => true,
      () => false,
    );
  }

  /** Keeps the value there until the signal aborts, for a minute at most. Never rejects. */
  async keep(): Promise<void> {
    const begun = performance.now();
    const { signal, network } = this.#options;
    try {
      for (const at of OPENDHT_ANNOUNCE_AT_MS) {
        await sleep(Math.max(0, at - (performance.now() - begun)), signal);
        if (network.nodes.every(({ table }) => table.size === 0)) await network.join(signal).catch(() => {});
        await this.publish();
      }
    } catch {
      // Aborted: nobody waits for it any more.
    }
  }

  async #round(node: DhtNode): Promise<number> {
    const { network, key, signal, anotherId } = this.#options;
    const found = await network.search(node, { target: key, valueId: this.#id, signal });
    const holding = found.map((place) => ({ place, held: this.#heldAt(place) }));
    if (holding.some(({ held }) => held === 'foreign') && this.#idChanges < ID_CHANGES_MAX) {
      this.#idChanges++;
      const before = this.#id;
      this.#id = anotherId(this.#idChanges);
      this.#options.log.debug(`OpenDHT value id ${before} is taken, now ${this.#id}`);
      return this.#put(node, found);
    }
    const missing = holding.filter(({ held }) => held === 'missing').map(({ place }) => place);
    const own = holding.filter(({ held }) => held === 'ours').length;
    return own + (await this.#put(node, missing));
  }

  #heldAt({ values }: Found): 'ours' | 'foreign' | 'missing' {
    for (const bytes of values) {
      const value = tryDecode(bytes);
      // A node that lies about what was asked for has said nothing.
      if (value?.id === this.#id) return value.dat.equals(this.#options.dat) ? 'ours' : 'foreign';
    }
    return 'missing';
  }

  /** To all of them at once; slow ones get a second more than the first that confirms. */
  async #put(node: DhtNode, places: readonly Found[]): Promise<number> {
    const { key, dat, signal, log } = this.#options;
    const packed = encodeValue({ id: this.#id, dat });
    let stored = 0;
    let first: () => void = () => {};
    const someStored = new Promise<void>((resolve) => {
      first = resolve;
    });
    const puts = places.map(async ({ endpoint, token }) => {
      const answer = await node.ask(endpoint, 'put', { h: key, token }, { values: [packed], signal });
      if (answer.type === 'reply') {
        stored++;
        first();
      } else {
        log.debug(`${formatEndpoint(endpoint)} did not take a value: ${answer.type}`);
      }
    });
    const over = new AbortController();
    const enough = someStored.then(() => sleep(OPENDHT_PUSH_GRACE_MS, over.signal).catch(() => {}));
    await Promise.race([Promise.all(puts), enough]);
    over.abort();
    return stored;
  }
}

function tryDecode(bytes: Buffer): DhtValue | undefined {
  try {
    return decodeValue(bytes);
  } catch {
    return undefined;
  }
}
