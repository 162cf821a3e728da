import { deadline, sleep } from '../../util/sleep.js';
import { abreast } from './abreast.js';
import { decodeReply, encodeKnock, type Knock, type KnockReply, splitBox } from './knock.js';
import type { DhtAddress, DhtKeyPair, DhtLibrary, DhtNode, DhtPeer } from './library.js';
import {
  DHT_FRAGMENTS_ABREAST,
  DHT_HEDGE_MS,
  DHT_HEDGES,
  DHT_KNOCK_MS,
  DHT_POLL_GAPS_MS,
  DHT_QUERY_RETRIES,
} from './limits.js';
import { gateOf, type Place } from './place.js';
import type { Carrier } from './private.js';
import { staggered } from './staggered.js';

const TRIES = 3;

/** One boxed letter on its way. */
export interface Consignment {
  readonly library: DhtLibrary;
  readonly node: DhtNode;
  readonly place: Place;
  readonly id: Buffer;
  readonly box: Buffer;
  /** Ours, for this letter only. */
  readonly keyPair: DhtKeyPair;
}

/**
 * Carries a letter to one acceptor inside relayed handshakes and waits there for the answer's box.
 * @param onTaken is called when the acceptor has the whole letter
 * @throws Error when the acceptor is silent or talks nonsense; the signal's reason
 */
export async function carry(
  consignment: Consignment,
  carrier: Carrier,
  acceptor: DhtPeer,
  onTaken: () => void,
  signal: AbortSignal,
): Promise<Buffer> {
  const courier = new Courier(consignment, carrier, acceptor, signal);
  try {
    return await courier.run(onTaken);
  } finally {
    courier.close();
  }
}

class Courier {
  readonly #letter: Consignment;
  readonly #carrier: Carrier;
  readonly #acceptor: DhtPeer;
  readonly #gate: Buffer;
  readonly #signal: AbortSignal;
  readonly #stop = new AbortController();
  /** Nodes that said they relay to the acceptor: only who has answered gets more than a small question. */
  readonly #relays: DhtAddress[] = [];
  #answer: (Buffer | undefined)[] | undefined;

  constructor(letter: Consignment, carrier: Carrier, acceptor: DhtPeer, signal: AbortSignal) {
    this.#letter = letter;
    this.#carrier = carrier;
    this.#acceptor = acceptor;
    this.#gate = gateOf(letter.place, acceptor.publicKey);
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
  }

  close(): void {
    this.#stop.abort();
  }

  async run(onTaken: () => void): Promise<Buffer> {
    await this.#findRelay();
    for (let round = 0; round < TRIES; round++) {
      await this.#deliver();
      const box = await this.#await(onTaken);
      if (box) return box;
    }
    throw new Error('the acceptor loses what it is given');
  }

  /** Resolves with the first relay; others are found while the letter is already under way. */
  #findRelay(): Promise<void> {
    const { publicKey, relayAddresses } = this.#acceptor;
    const query = this.#letter.node.findPeer(publicKey, {
      ...(relayAddresses.length > 0 && { nodes: relayAddresses }),
      retries: DHT_QUERY_RETRIES,
    });
    query.on('error', () => {});
    const end = () => query.destroy();
    this.#signal.addEventListener('abort', end, { once: true });
    return new Promise((resolve, reject) => {
      const read = async () => {
        for await (const { from } of query) {
          this.#relays.push({ host: from.host, port: from.port });
          resolve();
        }
      };
      read()
        .catch(() => {})
        .finally(() => {
          this.#signal.removeEventListener('abort', end);
          reject(this.#signal.aborted ? this.#signal.reason : new Error('no node relays to the acceptor'));
        });
    });
  }

  /** All fragments, several abreast; each brings back a part of the answer if it is quick. */
  async #deliver(): Promise<void> {
    const parts = splitBox(this.#letter.box);
    const count = parts.length;
    // A reply is held until the letter is whole, which must not depend on a fragment that is not yet sent.
    const hold = count <= DHT_FRAGMENTS_ABREAST;
    await abreast(parts, DHT_FRAGMENTS_ABREAST, (bytes, index) =>
      this.#knock({ op: 'fragment', ...this.#names(), hold, index, count, bytes }, index),
    );
  }

  /** Asks until the answer is whole; undefined if the acceptor has forgotten the letter. */
  async #await(onTaken: () => void): Promise<Buffer | undefined> {
    for (let asked = 0; ; asked++) {
      const box = await this.#collect();
      if (box) return box;
      const reply = await this.#knock({ op: 'poll', ...this.#names(), hold: true, index: 0 }, asked);
      if (reply.op === 'incomplete') return undefined;
      onTaken();
      if (reply.op === 'waiting') {
        await sleep(gapAfter(asked, DHT_POLL_GAPS_MS), this.#signal);
      }
    }
  }

  /** The answer's box, once any part of it has come. */
  async #collect(): Promise<Buffer | undefined> {
    const answer = this.#answer;
    if (!answer) return undefined;
    const missing = [...answer.keys()].filter((index) => !answer[index]);
    await abreast(missing, DHT_FRAGMENTS_ABREAST, (index) =>
      this.#knock({ op: 'poll', ...this.#names(), hold: false, index }, index),
    );
    const parts = (this.#answer ?? []).flatMap((bytes) => (bytes ? [bytes] : []));
    return this.#answer === answer && parts.length === answer.length ? Buffer.concat(parts) : undefined;
  }

  #names() {
    return { gate: this.#gate, id: this.#letter.id };
  }

  /** One knock over the relays in turn, each fragment beginning with another. */
  async #knock(knock: Knock, turn: number): Promise<KnockReply> {
    const payload = encodeKnock(knock);
    for (let attempt = 1; ; attempt++) {
      const limit = deadline(DHT_KNOCK_MS, () => new Error('the acceptor is silent'), this.#signal);
      try {
        const ways = this.#ways(turn + attempt);
        const ask = (relay: DhtAddress, end: AbortSignal) => this.#ask(payload, relay, end);
        const reply = await staggered(ways, DHT_HEDGE_MS, ask, limit.signal);
        this.#note(reply);
        return reply;
      } catch (error) {
        this.#signal.throwIfAborted();
        if (attempt >= TRIES) throw error;
        // All relays may have refused at once: one that restarts needs a moment.
        await sleep(DHT_HEDGE_MS, this.#signal);
      } finally {
        limit.dispose();
      }
    }
  }

  /** Relays in turn, also those that are found meanwhile; over again, for a datagram may just have been lost. */
  *#ways(first: number): Generator<DhtAddress> {
    for (let i = 0; i < DHT_HEDGES; i++) {
      const relay = this.#relays[(first + i) % this.#relays.length];
      if (relay) yield relay;
    }
  }

  async #ask(payload: Buffer, relay: DhtAddress, signal: AbortSignal): Promise<KnockReply> {
    const { node, keyPair } = this.#letter;
    const to = { publicKey: this.#acceptor.publicKey, relay };
    const reply = decodeReply(await this.#carrier.ask(node, to, keyPair, payload, signal));
    if (!reply) throw new Error('the acceptor talks nonsense');
    return reply;
  }

  #note(reply: KnockReply): void {
    if (reply.op !== 'answer') return;
    if (this.#answer?.length !== reply.count) this.#answer = new Array(reply.count).fill(undefined);
    this.#answer[reply.index] = reply.bytes;
  }
}

/** The last gap repeats. */
export function gapAfter(asked: number, gaps: readonly number[]): number {
  return gaps[Math.min(asked, gaps.length - 1)] ?? 0;
}
