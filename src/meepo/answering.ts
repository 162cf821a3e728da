import { AwlError, errorText } from '../errors.js';
import type { Logger } from '../log.js';
import { declineResumption, greetOver } from '../session/carrying.js';
import type { SideWord } from '../session/side.js';
import {
  type Descriptor,
  type OfferSecret,
  openOffer,
  sealAnswerBy,
  verifyDescriptor,
} from '../wire/meepo/descriptor.js';
import type { MeepoKeys } from '../wire/meepo/keys.js';
import { isFor, isFresh, makeStandIn, type StandIn } from '../wire/meepo/stand-in.js';
import type { Dialling } from './dialling.js';
import { OFFERS_MAX, OFFERS_PER_PEER, OFFERS_SEEN } from './limits.js';
import { HELLO } from './passage-link.js';
import { NO_WORD } from './passage-word.js';
import type { PassageHalf, Passages } from './passages.js';
import { awlAttribute, BARE_SDP, hasMedia, withAwlAttribute } from './sdp.js';
import { Seen } from './seen.js';
import type { Transport } from './transport.js';
import { answerWebrtc, type WebrtcSettings } from './webrtc.js';

const MINUTE_MS = 60_000;

export interface AnsweringOptions {
  readonly keys: MeepoKeys;
  readonly webrtc: WebrtcSettings;
  readonly passages: Passages | undefined;
  readonly dialling: Dialling;
  /** A transport for a path that this peer offered. */
  readonly make: (peer: string) => Transport;
  /** The path is there, and takes the place of whatever there was. */
  readonly install: (transport: Transport) => void;
  /** Waits for the path, then installs it; closes the transport if it does not come. */
  readonly settle: (transport: Transport) => Promise<unknown>;
  readonly current: (peer: string) => Transport | undefined;
  /** True where there is no room for one more peer. */
  readonly full: (peer: string) => boolean;
  readonly log: Logger;
  readonly closing: AbortSignal;
}

/** An offer that was opened. */
interface Offered {
  readonly peer: string;
  readonly sdp: string;
  readonly secret: OfferSecret;
}

/** Answers offers, of whoever signed them: with awl's own path where that was offered, else with WebRTC. */
export class Answering {
  readonly #options: AnsweringOptions;
  readonly #pending = new Set<Transport | PassageHalf>();
  readonly #seen = new Seen(OFFERS_SEEN);
  readonly #rate = new Map<string, number[]>();
  /** Where an ssh-agent has our key: what offers are sealed to in its place. */
  #made: Promise<StandIn> | undefined;

  constructor(options: AnsweringOptions) {
    this.#options = options;
  }

  /** @throws AwlError MESSAGE_MALFORMED, MESSAGE_REPLAYED, LIMIT_REACHED; STUN_UNREACHABLE; IDENTITY_INVALID as the agent */
  async answer(descriptor: Descriptor): Promise<Descriptor> {
    const { keys, passages, dialling, closing } = this.#options;
    const peer = descriptor.ID;
    const standIn = keys.signer && (await this.#standIn(keys));
    if (standIn && !isFor(descriptor, standIn)) {
      // It cannot be opened: the caller is told what it could be sealed to.
      verifyDescriptor(descriptor);
      return standIn.descriptor;
    }
    const { sdp, secret } = openOffer(standIn?.keys ?? keys, descriptor);
    if (peer === keys.id) throw new AwlError('MESSAGE_MALFORMED', 'an offer of our own came back');
    if (!this.#seen.add(descriptor.UserData['randPubk'] ?? '')) {
      throw new AwlError('MESSAGE_REPLAYED', 'the offer came before');
    }
    this.#guard(peer);
    const attribute = awlAttribute(sdp);
    dialling.learn(peer, attribute !== undefined);
    const theirs = passages?.read(attribute);
    const half = theirs && (await passages?.prepare(closing));
    const offered = { peer, sdp, secret };
    if (theirs && half) return this.#withPath(offered, half, theirs);
    if (hasMedia(sdp)) return this.#withWebrtc(offered, attribute !== undefined);
    if (attribute === undefined) throw new AwlError('MESSAGE_MALFORMED', 'the offer offers nothing');
    return sealAnswerBy(keys, secret, withAwlAttribute(BARE_SDP, NO_WORD));
  }

  async close(): Promise<void> {
    const all = [...this.#pending];
    await Promise.all(all.map((one) => ('side' in one ? one.side.close() : one.close())));
  }

  /** One signature of the agent serves half a day's callers. */
  async #standIn(keys: MeepoKeys): Promise<StandIn> {
    const now = Date.now();
    const known = await this.#made;
    if (known && isFresh(known, now)) return known;
    this.#made = makeStandIn(keys, now);
    this.#made.catch(() => {
      this.#made = undefined;
    });
    return this.#made;
  }

  #withPath(offered: Offered, half: PassageHalf, theirs: SideWord): Promise<Descriptor> {
    const { keys, log } = this.#options;
    const { peer, secret } = offered;
    const answer = withAwlAttribute(BARE_SDP, half.word);
    this.#pending.add(half);
    void this.#meet(offered, half, theirs, answer)
      .catch((error: unknown) => log.debug(`no path of awl from ${peer}: ${errorText(error)}`))
      .finally(() => {
        this.#pending.delete(half);
        return half.side.close();
      });
    return sealAnswerBy(keys, secret, answer);
  }

  async #meet(offered: Offered, half: PassageHalf, theirs: SideWord, answer: string): Promise<void> {
    const { passages, closing, make, install, current, dialling } = this.#options;
    const { peer, sdp, secret } = offered;
    if (!passages) return;
    const meeting = { role: 'accept', peer, theirs, offer: sdp, answer, signal: closing } as const;
    const passage = await passages.meet(half, meeting);
    const greeted = await greetOver(passage, HELLO, closing);
    const { resume } = greeted.hello;
    if (resume) {
      const link = current(peer)?.passageLink;
      if (link?.token.equals(resume)) await link.rejoin(passage, greeted);
      else await declineResumption(greeted);
      return;
    }
    const transport = make(peer);
    transport.bindingKey = secret.key;
    transport.isAwl = true;
    passages.carry(transport, { passage, greeted }, (signal) => dialling.passage(peer, signal));
    install(transport);
  }

  async #withWebrtc({ peer, sdp, secret }: Offered, isAwl: boolean): Promise<Descriptor> {
    const { keys, webrtc, make, settle, log } = this.#options;
    const transport = make(peer);
    this.#pending.add(transport);
    try {
      const events = transport.newEvents();
      const begun = await answerWebrtc(webrtc, sdp, events);
      transport.use(begun.link, events);
      transport.bindingKey = secret.key;
      transport.isAwl = isAwl;
      void settle(transport)
        .catch((error: unknown) => log.debug(`transport from ${peer}: ${errorText(error)}`))
        .finally(() => this.#pending.delete(transport));
      return await sealAnswerBy(keys, secret, withAwlAttribute(begun.sdp, NO_WORD));
    } catch (error) {
      this.#pending.delete(transport);
      await transport.close();
      throw error;
    }
  }

  #guard(peer: string): void {
    const now = performance.now();
    const recent = (this.#rate.get(peer) ?? []).filter((at) => at > now - MINUTE_MS);
    if (this.#options.full(peer) || this.#pending.size >= OFFERS_MAX || recent.length >= OFFERS_PER_PEER) {
      throw new AwlError('LIMIT_REACHED', 'too many transports');
    }
    if (this.#rate.size > OFFERS_SEEN) this.#rate.clear();
    this.#rate.set(peer, [...recent, now]);
  }
}
