import { AwlError, errorText } from '../errors.js';
import { type Descriptor, verifyDescriptor } from '../wire/meepo/descriptor.js';
import type { MeepoKeys } from '../wire/meepo/keys.js';
import { type Packet, signPacketBy, verifyPacket } from '../wire/meepo/packet.js';
import {
  decodeHop,
  decodeWireBody,
  encodeHop,
  encodeWireBody,
  MESH_HOPS,
} from '../wire/meepo/wire-packet.js';
import { newSession } from './conversation.js';
import { OFFERS_SEEN } from './limits.js';
import { Seen } from './seen.js';
import type { AnswerOffer, Signaler } from './signaling.js';
import type { Transport } from './transport.js';

/** Packets that are passed on side by side; a relay is nobody's amplifier. */
const RELAYS_MAX = 32;
/** Neighbours that one packet is passed on to. */
const FANOUT_MAX = 16;

export interface SelfmeshOptions {
  readonly keys: MeepoKeys;
  readonly connected: () => readonly Transport[];
  readonly answer: AnswerOffer;
}

/**
 * Signaling through the peers that there are paths to: as origin, as relay, and as target. Each inner packet is passed
 * on once, whichever ways it comes, so that cycles end; and an answer counts only if the target signed it.
 */
export class Selfmesh implements Signaler {
  readonly name = 'selfmesh';
  readonly #options: SelfmeshOptions;
  readonly #seen = new Seen(OFFERS_SEEN);
  #relaying = 0;
  readonly counts = { relayed: 0, dropped: 0 };

  constructor(options: SelfmeshOptions) {
    this.#options = options;
  }

  async wire(peer: string, offer: Descriptor, signal: AbortSignal): Promise<Descriptor> {
    const { keys, connected } = this.#options;
    const all = connected().filter((one) => one.peer !== keys.id);
    const direct = all.filter((one) => one.peer === peer);
    const inner = await signPacketBy(keys, {
      header: { type: 'request', method: 'wire', session: newSession(), source: keys.id, destination: peer },
      data: encodeWireBody(offer),
    });
    // Our own packet may come back round a cycle.
    this.#seen.add(keyOf(inner));
    const answer = await this.#flood(direct.length > 0 ? direct : all, inner, MESH_HOPS, signal);
    if (answer.inner.error !== undefined) {
      throw new AwlError('MEEPO_REFUSED', answer.inner.error.slice(0, 300));
    }
    return decodeWireBody(answer.inner.data);
  }

  /** A broadcast of a neighbour: yields the data of the answer, undefined to stay silent. */
  async receive(packet: Packet, from: Transport): Promise<Buffer | undefined> {
    const { keys, connected } = this.#options;
    const { hop, inner } = decodeHop(packet.data);
    const { source, destination, type, method } = inner.header;
    const usable = packet.header.method === 'wire' && method === 'wire' && type === 'request';
    if (!usable || source === keys.id || !verifyPacket(inner) || !this.#seen.add(keyOf(inner))) {
      this.counts.dropped += 1;
      return undefined;
    }
    // The target answers with the hop count that it saw.
    if (destination === keys.id) return encodeHop(hop, await this.#answer(inner));
    const onward = connected().filter(
      ({ peer }) => peer !== from.peer && peer !== keys.id && peer !== source,
    );
    if (hop <= 0 || onward.length === 0 || this.#relaying >= RELAYS_MAX) {
      this.counts.dropped += 1;
      return undefined;
    }
    this.#relaying += 1;
    this.counts.relayed += 1;
    try {
      const direct = onward.filter(({ peer }) => peer === destination);
      const next = direct.length > 0 ? direct : onward.slice(0, FANOUT_MAX);
      const answer = await this.#flood(next, inner, Math.min(hop, MESH_HOPS) - 1);
      return encodeHop(answer.hop, answer.inner);
    } finally {
      this.#relaying -= 1;
    }
  }

  async close(): Promise<void> {}

  /** Sends to each neighbour and takes the first answer that the target itself signed. */
  async #flood(
    to: readonly Transport[],
    inner: Packet,
    hop: number,
    signal?: AbortSignal,
  ): Promise<{ readonly hop: number; readonly inner: Packet }> {
    const { source, destination, session } = inner.header;
    if (to.length === 0) throw new AwlError('MEEPO_UNAVAILABLE', 'out of edge');
    const asked = to.map(async ({ conversation }) => {
      const response = await conversation.ask('broadcastRequest', 'wire', encodeHop(hop, inner), signal);
      if (response.error !== undefined) throw new AwlError('MEEPO_REFUSED', response.error.slice(0, 300));
      const answer = decodeHop(response.data);
      const { header } = answer.inner;
      const fits =
        header.source === destination && header.destination === source && header.session === session;
      if (!fits || header.type !== 'response' || !verifyPacket(answer.inner)) {
        throw new AwlError('MESSAGE_MALFORMED', 'unauthenticated');
      }
      return answer;
    });
    return Promise.any(asked).catch((error: unknown) => {
      throw error instanceof AggregateError ? error.errors[0] : error;
    });
  }

  async #answer(inner: Packet): Promise<Packet> {
    const { keys, answer } = this.#options;
    const { session, source } = inner.header;
    const header = {
      type: 'response',
      method: 'wire',
      session,
      source: keys.id,
      destination: source,
    } as const;
    try {
      const offer = decodeWireBody(inner.data);
      if (offer.ID !== source) throw new AwlError('MESSAGE_MALFORMED', 'the offer is of somebody else');
      verifyDescriptor(offer);
      return await signPacketBy(keys, { header, data: encodeWireBody(await answer(offer)) });
    } catch (error) {
      return await signPacketBy(keys, {
        header,
        data: Buffer.alloc(0),
        error: errorText(error).slice(0, 300),
      });
    }
  }
}

/** One offer, whichever neighbours bring it. */
function keyOf({ header, signature }: Packet): string {
  return `${header.source}.${header.session}.${signature.toString('base64')}`;
}
