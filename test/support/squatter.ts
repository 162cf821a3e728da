import { randomBytes } from 'node:crypto';
import { Inbox } from '../../src/rendezvous/hyperdht/inbox.js';
import { decodeKnock, encodeReply } from '../../src/rendezvous/hyperdht/knock.js';
import {
  type DhtAddress,
  type DhtLibrary,
  type DhtNode,
  type DhtServer,
  loadLibrary,
} from '../../src/rendezvous/hyperdht/library.js';
import { openParcel, wrapParcel } from '../../src/rendezvous/hyperdht/parcel.js';
import { answerKey, type Place } from '../../src/rendezvous/hyperdht/place.js';
import { type Carrier, openCarrier } from '../../src/rendezvous/hyperdht/private.js';

/**
 * How it answers: with random bytes, always "wait", always "I know nothing", with a box that opens but was sealed by
 * nobody, or not at all.
 */
export type Manner = 'garbage' | 'waiting' | 'forgetful' | 'forged' | 'silent';

function makeNode(library: DhtLibrary, bootstrap: readonly DhtAddress[]): DhtNode {
  return new library({ bootstrap, port: [0, 0], ephemeral: true });
}

async function announce(node: DhtNode, server: DhtServer, topic: Buffer, keyPair = loadLibrary().keyPair()) {
  await server.listen(keyPair);
  await node.announce(topic, keyPair, server.relayAddresses).finished();
}

/** An acceptor that announced itself and then hangs: it can be found, and says nothing. */
export async function silentServer(
  library: DhtLibrary,
  bootstrap: readonly DhtAddress[],
  topic: Buffer,
): Promise<DhtNode> {
  const node = makeNode(library, bootstrap);
  const server = node.createServer({ holepunch: false, shareLocalAddress: false, firewall: () => true });
  await announce(node, server, topic);
  return node;
}

/** Somebody with the recipient's certificate who announces himself as the recipient, several times. */
export class Squatter {
  /** What of the letters it could read. */
  readonly seen: Buffer[] = [];
  readonly #node: DhtNode;

  private constructor(node: DhtNode) {
    this.#node = node;
  }

  static async start(
    bootstrap: readonly DhtAddress[],
    place: Place,
    manner: Manner,
    keys: number,
  ): Promise<Squatter> {
    const library = loadLibrary();
    const carrier = openCarrier(library) as Carrier;
    const squatter = new Squatter(makeNode(library, bootstrap));
    const inbox = new Inbox(() => performance.now());
    for (let i = 0; i < keys; i++) {
      const keyPair = library.keyPair();
      const server = squatter.#node.createServer({
        holepunch: false,
        shareLocalAddress: false,
        firewall: () => true,
      });
      carrier.serve(server, keyPair, {
        admit: () => true,
        receive: async (payload, { address }) =>
          squatter.#reply(payload, address.host, { place, manner, inbox }),
      });
      await announce(squatter.#node, server, place.topic, keyPair);
    }
    return squatter;
  }

  close(): Promise<void> {
    return this.#node.destroy({ force: true });
  }

  #reply(
    payload: Buffer,
    source: string,
    { place, manner, inbox }: { place: Place; manner: Manner; inbox: Inbox },
  ): Buffer | undefined {
    this.seen.push(payload);
    const knock = decodeKnock(payload);
    if (!knock || knock.op === 'echo') return undefined;
    if (knock.op === 'fragment') {
      const { arrived } = inbox.take(place, knock.id, knock, source);
      const parcel = arrived && openParcel(place.boxKey, 'invite', arrived.box);
      if (parcel) this.seen.push(Buffer.from(parcel.bytes));
    }
    switch (manner) {
      case 'garbage':
        return randomBytes(500);
      case 'waiting':
        return encodeReply({ op: 'waiting' });
      case 'forgetful':
        return encodeReply({ op: 'incomplete' });
      case 'forged': {
        const parcel = { form: 'smime', bytes: Buffer.from('PLEXUS 3.0 192.0.2.66 666 1') } as const;
        const bytes = wrapParcel(answerKey(place, knock.id), 'accept', parcel);
        return encodeReply({ op: 'answer', index: 0, count: 1, bytes });
      }
      default:
        return undefined;
    }
  }
}
