import {
  DHT_COURIERS_MAX,
  DHT_LOOKUP_GAPS_MS,
  DHT_LOOKUP_PATIENCE_MS,
  DHT_QUERY_RETRIES,
  DHT_SILENT_PAUSE_MAX_MS,
  DHT_SILENT_PAUSE_MS,
} from '../../constants.js';
import { errorText } from '../../errors.js';
import type { Logger } from '../../log.js';
import { sleep } from '../../util/sleep.js';
import { type Consignment, carry, carryByRecords } from './courier.js';
import type { DhtKeyPair, DhtLibrary, DhtNode, DhtPeer } from './library.js';
import { openParcel, type Parcel } from './parcel.js';
import { answerKey, letterId, type Place } from './place.js';
import type { Carrier } from './private.js';
import { publishBox } from './records.js';

/** Acceptors remembered, with how often they were silent. */
const REMEMBERED = 1_000;

export interface OutboxOptions {
  readonly library: DhtLibrary;
  /** The node of the moment. */
  readonly node: () => DhtNode;
  /** Absent: over the library's public interface. */
  readonly carrier: Carrier | undefined;
  readonly place: Place;
  readonly box: Buffer;
  readonly log: Logger;
  readonly onAnswer: (answer: Parcel) => void;
}

/** What is known of one announced acceptor. */
interface Acceptor {
  failures: number;
  notBefore: number;
  courier?: { readonly stop: AbortController; readonly since: number };
  answered?: true;
}

/**
 * One invitation, until the signal aborts: looks again and again for whoever announces itself as the recipient, and
 * carries the letter to all of them side by side. Squatters and crashed acceptors cost datagrams, not time.
 */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #id: Buffer;
  readonly #keyPair: DhtKeyPair;
  readonly #acceptors = new Map<string, Acceptor>();
  #published: { readonly node: DhtNode; readonly done: Promise<void> } | undefined;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#id = letterId(options.box);
    this.#keyPair = options.library.keyPair();
  }

  /** Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    for (let round = 0; !signal.aborted; round++) {
      const looking = this.#look(signal).catch((error) => {
        if (!signal.aborted) this.#options.log.debug(`looking for the recipient failed: ${errorText(error)}`);
      });
      const gap = DHT_LOOKUP_GAPS_MS[Math.min(round, DHT_LOOKUP_GAPS_MS.length - 1)] ?? 0;
      // One dead node of a small network holds a query up for seconds, not those that follow it.
      await Promise.race([looking, sleep(DHT_LOOKUP_PATIENCE_MS, signal).catch(() => {})]);
      await sleep(gap, signal).catch(() => {});
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const query = this.#options.node().lookup(this.#options.place.topic, { retries: DHT_QUERY_RETRIES });
    query.on('error', () => {});
    const end = () => query.destroy();
    signal.addEventListener('abort', end, { once: true });
    try {
      for await (const { peers } of query) {
        for (const peer of peers) this.#consider(peer, signal);
      }
    } finally {
      signal.removeEventListener('abort', end);
    }
  }

  #consider(peer: DhtPeer, signal: AbortSignal): void {
    const name = peer.publicKey.toString('hex');
    const acceptor = this.#acceptors.get(name) ?? { failures: 0, notBefore: 0 };
    if (signal.aborted || acceptor.courier || acceptor.answered || performance.now() < acceptor.notBefore)
      return;
    this.#makeRoom();
    this.#acceptors.set(name, acceptor);
    const stop = new AbortController();
    const courier = { stop, since: performance.now() };
    acceptor.courier = courier;
    this.#carryTo(peer, AbortSignal.any([signal, stop.signal]))
      .then(
        (box) => {
          acceptor.answered = true;
          this.#deliver(box, name);
        },
        (error) => {
          const pause = DHT_SILENT_PAUSE_MS * 2 ** Math.min(acceptor.failures++, 10);
          acceptor.notBefore = performance.now() + Math.min(pause, DHT_SILENT_PAUSE_MAX_MS);
          if (!signal.aborted) this.#options.log.debug(`acceptor ${name.slice(0, 8)}: ${errorText(error)}`);
        },
      )
      .finally(() => {
        delete acceptor.courier;
      });
  }

  #carryTo(peer: DhtPeer, signal: AbortSignal): Promise<Buffer> {
    const { carrier, log, library, place, box } = this.#options;
    const node = this.#options.node();
    const letter: Consignment = { library, node, place, box, id: this.#id, keyPair: this.#keyPair };
    const name = peer.publicKey.toString('hex', 0, 4);
    // An acceptor that names no relays cannot take letters from handshakes.
    if (carrier && peer.relayAddresses.length > 0) {
      const onTaken = () => log.trace(`acceptor ${name} has the invitation`);
      return carry(letter, carrier, peer, onTaken, signal);
    }
    return carryByRecords(letter, peer, this.#publish(node), signal);
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

  /** Ends the courier that waits longest: it may be a squatter's, and a real one will be found again. */
  #makeRoom(): void {
    for (const [name, { courier }] of this.#acceptors) {
      if (this.#acceptors.size < REMEMBERED) break;
      if (!courier) this.#acceptors.delete(name);
    }
    const busy = [...this.#acceptors.values()].flatMap(({ courier }) => (courier ? [courier] : []));
    if (busy.length < DHT_COURIERS_MAX) return;
    const oldest = busy.reduce((a, b) => (a.since <= b.since ? a : b));
    oldest.stop.abort(new Error('others have to be tried'));
  }

  #deliver(box: Buffer, name: string): void {
    const { place, log, onAnswer } = this.#options;
    const answer = openParcel(answerKey(place, this.#id), 'accept', box);
    if (answer) onAnswer(answer);
    else log.debug(`acceptor ${name.slice(0, 8)} answered with nonsense`);
  }
}
