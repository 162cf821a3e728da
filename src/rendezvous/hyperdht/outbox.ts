import { errorText } from '../../errors.js';
import type { Logger } from '../../log.js';
import { sleep } from '../../util/sleep.js';
import { type Consignment, carry, gapAfter } from './courier.js';
import type { DhtKeyPair, DhtLibrary, DhtNode, DhtPeer } from './library.js';
import {
  DHT_CROWD,
  DHT_CROWD_GAP_MS,
  DHT_LOOKUP_GAPS_MS,
  DHT_LOOKUP_PATIENCE_MS,
  DHT_LOOKUPS_MAX,
  DHT_QUERY_RETRIES,
} from './limits.js';
import type { ClientNode } from './node.js';
import { openParcel, type Parcel } from './parcel.js';
import { answerKey, letterId, type Place } from './place.js';
import type { Carrier } from './private.js';
import { carryByRecords } from './record-courier.js';
import { publishBox } from './records.js';
import { Rota } from './rota.js';

export interface OutboxOptions {
  readonly library: DhtLibrary;
  /** The node of the moment. */
  readonly client: () => ClientNode;
  /** Absent: over the library's public interface. */
  readonly carrier: Carrier | undefined;
  readonly place: Place;
  readonly box: Buffer;
  readonly log: Logger;
  readonly onAnswer: (answer: Parcel) => void;
}

/**
 * One invitation, until the signal aborts: looks again and again for whoever announces itself as the recipient, and
 * carries the letter to all of them side by side. Squatters and crashed acceptors cost datagrams, and seconds only in
 * great numbers.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #id: Buffer;
  readonly #keyPair: DhtKeyPair;
  #published: { readonly node: DhtNode; readonly done: Promise<void> } | undefined;
  #crowded = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#id = letterId(options.box);
    this.#keyPair = options.library.keyPair();
  }

  /** Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { log } = this.#options;
    const rota = new Rota({
      now: () => performance.now(),
      visit: (peer, end) => this.#visit(peer, end),
      onFailure: (peer, error) => log.debug(`acceptor ${nameOf(peer)}: ${errorText(error)}`),
      signal,
    });
    const under = new Set<Promise<void>>();
    for (let round = 0; !signal.aborted; round++) {
      const looking = this.#look(rota, signal).catch((error) => {
        if (!signal.aborted) log.debug(`looking for the recipient failed: ${errorText(error)}`);
      });
      under.add(looking);
      void looking.then(() => under.delete(looking));
      // One dead node of a small network holds a query up for seconds, not those that follow it.
      await Promise.race([looking, sleep(DHT_LOOKUP_PATIENCE_MS, signal).catch(() => {})]);
      const gap = gapAfter(round, DHT_LOOKUP_GAPS_MS);
      await sleep(this.#crowded ? Math.min(gap, DHT_CROWD_GAP_MS) : gap, signal).catch(() => {});
      // Where answers are slow because there is too much to do, more questions make it worse.
      if (under.size >= DHT_LOOKUPS_MAX) await Promise.race(under);
    }
  }

  async #look(rota: Rota, signal: AbortSignal): Promise<void> {
    const { client, place } = this.#options;
    const { node } = client();
    const query = node.lookup(place.topic, { retries: DHT_QUERY_RETRIES });
    query.on('error', () => {});
    const end = () => query.destroy();
    signal.addEventListener('abort', end, { once: true });
    let crowded = false;
    try {
      for await (const { peers } of query) {
        crowded ||= peers.length >= DHT_CROWD;
        for (const peer of peers) rota.add(peer);
      }
      this.#crowded = crowded;
    } finally {
      signal.removeEventListener('abort', end);
      rota.turn();
    }
  }

  async #visit(peer: DhtPeer, signal: AbortSignal): Promise<void> {
    const { carrier, log, library, place, box, client, onAnswer } = this.#options;
    const { node } = client();
    const acceptor = client().checked(peer);
    const letter: Consignment = { library, node, place, box, id: this.#id, keyPair: this.#keyPair };
    // An acceptor that names no relays cannot take letters from handshakes.
    const direct = carrier && peer.relayAddresses.length > 0;
    const onTaken = () => log.trace(`acceptor ${nameOf(peer)} has the invitation`);
    const answerBox = direct
      ? await carry(letter, carrier, acceptor, onTaken, signal)
      : await carryByRecords(letter, acceptor, this.#publish(node), signal);
    const answer = openParcel(answerKey(place, this.#id), 'accept', answerBox);
    if (answer) onAnswer(answer);
    else log.debug(`acceptor ${nameOf(peer)} answered with nonsense`);
  }

  /** Once a node, unless it failed. */
  #publish(node: DhtNode): Promise<void> {
    if (this.#published?.node === node) return this.#published.done;
    const done = publishBox(node, this.#keyPair, this.#options.box);
    this.#published = { node, done };
    done.catch(() => {
      this.#published = undefined;
    });
    return done;
  }
}

function nameOf({ publicKey }: DhtPeer): string {
  return publicKey.toString('hex', 0, 4);
}
