import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { IdentityName } from '../../src/identity/names.js';
import { formatName, isComplete } from '../../src/identity/names.js';
import { openHyperdht } from '../../src/rendezvous/hyperdht/backend.js';
import { carry } from '../../src/rendezvous/hyperdht/courier.js';
import { loadLibrary } from '../../src/rendezvous/hyperdht/library.js';
import { wrapParcel } from '../../src/rendezvous/hyperdht/parcel.js';
import { letterId, placeOf } from '../../src/rendezvous/hyperdht/place.js';
import { type Carrier, openCarrier } from '../../src/rendezvous/hyperdht/private.js';
import type {
  Envelope,
  Letter,
  LetterFilter,
  Rendezvous,
  RendezvousContext,
} from '../../src/rendezvous/types.js';
import { BOB, backendContract, type ContractBench } from '../support/backend-contract.js';
import { Testnet } from '../support/testnet.js';

/** Stands in for the key in an identity's certificate, which the contract's letters lack. */
function keyOf(name: IdentityName): Buffer {
  return createHash('sha512').update(formatName(name)).digest();
}

/**
 * Adds the keys that a session would know. In this backend an answer always answers something, so an answer pushed
 * out of the blue is asked for first, by the other side.
 */
class KeyedSide implements Rendezvous {
  readonly name: string;
  readonly sealing: Rendezvous['sealing'];
  other: () => KeyedSide | undefined = () => undefined;
  readonly #inner: Rendezvous;
  readonly #onPushed: () => void;

  constructor(inner: Rendezvous, onPushed: () => void) {
    this.#inner = inner;
    this.name = inner.name;
    this.sealing = inner.sealing;
    this.#onPushed = onPushed;
  }

  prepare(signal: AbortSignal): Promise<void> {
    return this.#inner.prepare(signal);
  }

  listen(filter: LetterFilter, signal: AbortSignal): AsyncIterable<Envelope> {
    const { to } = filter;
    return this.#inner.listen({ ...filter, ...(isComplete(to) && { toKey: keyOf(to) }) }, signal);
  }

  async push(letter: Letter, signal: AbortSignal): Promise<void> {
    const { from, to } = letter;
    const keyed = { ...letter, toKey: keyOf(to), fromKey: keyOf(from) };
    if (letter.kind === 'accept') {
      await this.#inner.push({ ...keyed, answers: await this.#askedFor(letter, signal) }, signal);
    } else {
      await this.#inner.push(keyed, signal);
    }
    this.#onPushed();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #askedFor({ app, from, to }: Letter, signal: AbortSignal): Promise<string> {
    const stop = new AbortController();
    const filter = { app, kind: 'invite', to: from, from: to, toKey: keyOf(from) } as const;
    const asked = (async () => {
      for await (const { id } of this.#inner.listen(filter, AbortSignal.any([signal, stop.signal])))
        return id;
      throw signal.reason;
    })();
    asked.catch(() => {});
    const invitation: Letter = {
      ...{ app, kind: 'invite', from: to, to: from, form: 'smime', bytes: randomBytes(100) },
      ...{ toKey: keyOf(from), fromKey: keyOf(to) },
    };
    const asker = this.other();
    if (asker) await asker.#inner.push(invitation, AbortSignal.timeout(60_000));
    try {
      return await asked;
    } finally {
      stop.abort();
    }
  }
}

/** Carries boxes that hold no letter to whoever announces himself as bob. */
async function litter(net: Testnet, box: Buffer, app: string): Promise<void> {
  const library = loadLibrary();
  const node = new library({ bootstrap: net.settings.bootstrap, port: [0, 0], ephemeral: true });
  try {
    const place = placeOf(app, keyOf(BOB));
    const consignment = { library, node, place, box, id: letterId(box), keyPair: library.keyPair() };
    for await (const { peers } of node.lookup(place.topic)) {
      for (const peer of peers) {
        await new Promise<void>((resolve) => {
          const carrying = carry(
            consignment,
            openCarrier(library) as Carrier,
            peer,
            resolve,
            AbortSignal.timeout(5000),
          );
          carrying.catch(() => resolve());
        });
      }
    }
  } finally {
    await node.destroy({ force: true });
  }
}

async function testnetBench(recordsOnly: boolean): Promise<ContractBench> {
  const net = await Testnet.start(4);
  const sides: { alice?: KeyedSide; bob?: KeyedSide } = {};
  let pushed = 0;
  return {
    async open(side, ctx: RendezvousContext) {
      const inner = await openHyperdht(net.settings, ctx, { recordsOnly });
      const keyed = new KeyedSide(inner, () => pushed++);
      keyed.other = () => (side === 'alice' ? sides.bob : sides.alice);
      sides[side] = keyed;
      return keyed;
    },
    async litter(what, app) {
      const { boxKey } = placeOf(app, keyOf(BOB));
      const names = { from: BOB, to: BOB };
      const boxes = {
        garbage: randomBytes(2000),
        empty: wrapParcel(boxKey, 'invite', { form: 'smime', bytes: Buffer.alloc(0), names }),
        huge: randomBytes(66_000),
      };
      await litter(net, boxes[what], app);
    },
    stored: async () => pushed,
    async disrupt() {
      await net.down();
      await pause(300);
      await net.up();
    },
    close: () => net.down(),
  };
}

backendContract('hyperdht', () => testnetBench(false), ['deletion', 'old answers', 'open filters']);
backendContract('hyperdht over records', () => testnetBench(true), [
  'deletion',
  'old answers',
  'open filters',
]);
