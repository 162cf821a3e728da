import { setTimeout as pause } from 'node:timers/promises';
import { errorText } from '../../errors.js';
import type { Logger } from '../../log.js';
import { FloodGuard } from './flood-guard.js';
import { type Arrived, Inbox } from './inbox.js';
import { decodeKnock, encodeReply, type Knock } from './knock.js';
import type { DhtKeyPair, DhtLibrary, DhtNode, DhtServer } from './library.js';
import {
  DHT_FETCH_AGAIN_S,
  DHT_FETCH_BURST,
  DHT_FETCH_ONLY_BURST,
  DHT_FETCH_ONLY_PER_S,
  DHT_FETCH_PER_S,
  DHT_FETCHED_MAX,
  DHT_HELD_MAX,
  DHT_HOLD_MS,
  DHT_KNOCK_BURST,
  DHT_KNOCK_RATE_PER_S,
  DHT_KNOCK_SOURCES,
  DHT_KNOCK_TOTAL_BURST,
  DHT_KNOCK_TOTAL_PER_S,
  DHT_SETTLE_MS,
} from './limits.js';
import { openParcel, type Parcel, wrapParcel } from './parcel.js';
import { answerKey, answerSeed, gateOf, letterId, type Place } from './place.js';
import type { Carrier, Knocker } from './private.js';
import { fetchBox, publishBox } from './records.js';
import { newEcho, Upkeep } from './upkeep.js';

export interface StationOptions {
  readonly library: DhtLibrary;
  /** Absent: over the library's public interface. */
  readonly carrier: Carrier | undefined;
  readonly log: Logger;
  /** The node does not come back by itself: another one is to be given to `start`. */
  readonly onStale: () => void;
}

/** Takes an invitation that arrived at a place; `key` is what {@link Station.answer} wants. */
export type Recipient = (key: string, parcel: Parcel) => void;

interface Post {
  readonly upkeep: Upkeep;
  readonly server: DhtServer;
  readonly node: DhtNode;
  readonly stop: AbortController;
}

/**
 * The acceptor's side: one announced random key for all identities and apps of a process. Knocks are checked, letters
 * put together, handed over once, and their answers kept ready.
 */
export class Station {
  readonly #options: StationOptions;
  readonly #keyPair: DhtKeyPair;
  readonly #inbox = new Inbox(() => performance.now());
  readonly #knocks: FloodGuard;
  readonly #fetches: FloodGuard;
  readonly #echo = newEcho();
  /** Knockers whose letter came from the DHT's records. */
  readonly #fetched = new Set<string>();
  /** By gate, in hex. */
  readonly #places = new Map<string, { readonly place: Place; readonly recipients: Set<Recipient> }>();
  #post: Post | undefined;
  #held = 0;

  constructor(options: StationOptions) {
    this.#options = options;
    this.#keyPair = options.library.keyPair();
    const each = { burst: DHT_KNOCK_BURST, perSecond: DHT_KNOCK_RATE_PER_S };
    const together = { burst: DHT_KNOCK_TOTAL_BURST, perSecond: DHT_KNOCK_TOTAL_PER_S };
    const clock = () => performance.now();
    this.#knocks = new FloodGuard(each, together, DHT_KNOCK_SOURCES, clock);
    const fetches = options.carrier
      ? { burst: DHT_FETCH_BURST, perSecond: DHT_FETCH_PER_S }
      : { burst: DHT_FETCH_ONLY_BURST, perSecond: DHT_FETCH_ONLY_PER_S };
    const again = { burst: 1, perSecond: 1 / DHT_FETCH_AGAIN_S };
    this.#fetches = new FloodGuard(again, fetches, DHT_KNOCK_SOURCES, clock);
  }

  /** Opens the door on this node, in place of the one before. */
  async start(node: DhtNode): Promise<void> {
    this.#post?.stop.abort();
    const { carrier, library, log, onStale } = this.#options;
    const server = node.createServer({
      holepunch: false,
      shareLocalAddress: false,
      firewall: (key) => {
        this.#fetch(key);
        return true;
      },
    });
    server.on('error', () => {});
    carrier?.serve(server, this.#keyPair, {
      admit: ({ host }) => this.#knocks.admit(host),
      receive: (payload, knocker) => this.#receive(payload, knocker),
    });
    const upkeep = new Upkeep({
      ...{ library, node, server, carrier, log, onStale },
      keyPair: this.#keyPair,
      echo: this.#echo,
    });
    for (const { place } of this.#places.values()) upkeep.add(place);
    const post: Post = { upkeep, server, node, stop: new AbortController() };
    this.#post = post;
    // Whoever looks for us meets better placed relays once the first look around the network is over.
    await Promise.race([
      node.fullyBootstrapped().catch(() => {}),
      pause(DHT_SETTLE_MS, undefined, { ref: false }),
    ]);
    await server.listen(this.#keyPair).catch((error) => log.debug(`announcing failed: ${errorText(error)}`));
    void upkeep.run(post.stop.signal);
  }

  /** Letters for this place go to `recipient` until the returned function is called. */
  attend(place: Place, recipient: Recipient): () => void {
    const gate = gateOf(place, this.#keyPair.publicKey).toString('hex');
    const entry = this.#places.get(gate) ?? { place, recipients: new Set<Recipient>() };
    entry.recipients.add(recipient);
    if (!this.#places.has(gate)) {
      this.#places.set(gate, entry);
      this.#post?.upkeep.add(entry.place);
    }
    return () => {
      entry.recipients.delete(recipient);
      if (entry.recipients.size > 0 || this.#places.get(gate) !== entry) return;
      this.#places.delete(gate);
      this.#post?.upkeep.remove(entry.place);
    };
  }

  /** Lays an answer ready for its inviter. False if that is not waiting any more. */
  async answer(key: string, parcel: Parcel): Promise<boolean> {
    const made = this.#inbox.answer(key, ({ place, id }) =>
      wrapParcel(answerKey(place, id), 'accept', parcel),
    );
    if (!made) return false;
    const { arrived, box } = made;
    const node = this.#post?.node;
    if (arrived.recordsOf && node) {
      const seed = answerSeed(arrived.place, arrived.id, this.#keyPair.publicKey);
      await publishBox(node, this.#options.library.keyPair(seed), box);
    }
    return true;
  }

  /** Takes leave of the network. */
  async leave(): Promise<void> {
    const post = this.#post;
    if (!post) return;
    post.stop.abort();
    await Promise.allSettled([post.upkeep.leave(), post.server.close()]);
  }

  async #receive(payload: Buffer, knocker: Knocker): Promise<Buffer | undefined> {
    const knock = decodeKnock(payload);
    if (!knock) {
      this.#fetch(knocker.key);
      return undefined;
    }
    if (knock.op === 'echo') {
      const ours = knock.gate.equals(this.#echo.gate) && knock.id.equals(this.#echo.id);
      return ours ? encodeReply({ op: 'echo' }) : undefined;
    }
    const place = this.#places.get(knock.gate.toString('hex'))?.place;
    return place && this.#reply(place, knock, knocker);
  }

  async #reply(place: Place, knock: Exclude<Knock, { op: 'echo' }>, knocker: Knocker): Promise<Buffer> {
    let answered: Promise<void> | undefined;
    if (knock.op === 'fragment') {
      const taken = this.#inbox.take(place, knock.id, knock, knocker.address.host);
      answered = taken.answered;
      if (taken.arrived) this.#handOver(taken.arrived.letter, taken.arrived.box);
    } else {
      answered = this.#inbox.find(place, knock.id)?.answered.promise;
    }
    if (knock.hold && answered) await this.#hold(answered);
    return encodeReply(this.#inbox.reply(place, knock.id, knock.index));
  }

  /** Keeps a knock open for a moment: the answer mostly is there within one. */
  async #hold(answered: Promise<void>): Promise<void> {
    if (this.#held >= DHT_HELD_MAX) return;
    this.#held++;
    const patience = new AbortController();
    const time = pause(DHT_HOLD_MS, undefined, { signal: patience.signal, ref: false }).catch(() => {});
    await Promise.race([answered, time]);
    patience.abort();
    this.#held--;
  }

  #handOver(arrived: Arrived, box: Buffer): void {
    const parcel = openParcel(arrived.place.boxKey, 'invite', box);
    if (!parcel) {
      this.#options.log.debug(`letter ${arrived.key} cannot be opened`);
      return;
    }
    const gate = gateOf(arrived.place, this.#keyPair.publicKey).toString('hex');
    for (const recipient of this.#places.get(gate)?.recipients ?? []) recipient(arrived.key, parcel);
  }

  /** Somebody knocked who carries no letter: it may lie in the DHT's records. */
  #fetch(key: Buffer): void {
    const node = this.#post?.node;
    const name = key.toString('hex');
    if (!node || this.#places.size === 0 || this.#fetched.has(name) || !this.#fetches.admit(name)) return;
    fetchBox(node, key).then(
      (box) => box && this.#takeWhole(box, Buffer.from(name, 'hex')),
      (error) => this.#options.log.debug(`a letter in the DHT cannot be read: ${errorText(error)}`),
    );
  }

  #takeWhole(box: Buffer, recordsOf: Buffer): void {
    const id = letterId(box);
    for (const { place } of this.#places.values()) {
      if (!openParcel(place.boxKey, 'invite', box)) continue;
      if (!this.#inbox.find(place, id)) this.#handOver(this.#inbox.admit(place, id, recordsOf), box);
      this.#fetched.add(recordsOf.toString('hex'));
      for (const oldest of this.#fetched) {
        if (this.#fetched.size <= DHT_FETCHED_MAX) break;
        this.#fetched.delete(oldest);
      }
      return;
    }
  }
}
