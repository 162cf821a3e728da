import { AwlError, errorText, isAwlError } from '../errors.js';
import type { Logger } from '../log.js';
import { greetOver } from '../session/carrying.js';
import type { Passage } from '../session/passage.js';
import type { SideWord } from '../session/side.js';
import { deadline, sleep } from '../util/sleep.js';
import { type Descriptor, type OfferSecret, openAnswer, sealOfferBy } from '../wire/meepo/descriptor.js';
import type { MeepoKeys } from '../wire/meepo/keys.js';
import { readStandIn } from '../wire/meepo/stand-in.js';
import { CONNECT_MS, FALLBACK_MS, OFFERS_SEEN } from './limits.js';
import { HELLO } from './passage-link.js';
import { NO_WORD } from './passage-word.js';
import type { PassageHalf, Passages } from './passages.js';
import { awlAttribute, BARE_SDP, hasMedia, withAwlAttribute } from './sdp.js';
import type { Transport } from './transport.js';
import { offerWebrtc, type WebrtcOffer, type WebrtcSettings } from './webrtc.js';

export interface DiallingOptions {
  readonly keys: MeepoKeys;
  readonly webrtc: WebrtcSettings;
  /** Awl's own paths; without them all is WebRTC, as toward a real Meepo. */
  readonly passages: Passages | undefined;
  /** True where signaling leads to awl nodes only: WebRTC need not be offered at first. */
  readonly onlyAwls: boolean;
  /** Hands an offer to the peer and yields its answer. */
  readonly carry: (peer: string, offer: Descriptor) => Promise<Descriptor>;
  /** Gets ready for that. Never rejects. */
  readonly refresh: () => Promise<void>;
  readonly log: Logger;
}

/** What one offer and its answer came to. */
interface Asked {
  readonly offer: string;
  readonly answer: string;
  readonly secret: OfferSecret;
  /** The peer is awl. */
  readonly isAwl: boolean;
  /** Where awl's own path leads to, if it offers one. */
  readonly theirs: SideWord | undefined;
}

/** Opens paths as the one who makes the offer: awl's own where the peer is awl, WebRTC else. */
export class Dialling {
  readonly #options: DiallingOptions;
  /** Peers that said that they are awl: WebRTC, which takes a while to make, is not offered to them at first. */
  readonly #awls = new Set<string>();

  constructor(options: DiallingOptions) {
    this.#options = options;
  }

  /** The peer said that it is awl, or that it is none. */
  learn(peer: string, isAwl: boolean): void {
    if (!isAwl) this.#awls.delete(peer);
    else if (this.#awls.size < OFFERS_SEEN) this.#awls.add(peer);
  }

  /**
   * Opens a path and has the transport use it.
   * @throws AwlError MEEPO_UNAVAILABLE, MEEPO_REFUSED, HANDSHAKE_TIMEOUT; Error when the path breaks; the signal's reason
   */
  async open(transport: Transport, signal: AbortSignal): Promise<void> {
    const { onlyAwls } = this.#options;
    const { peer } = transport;
    const preparing = this.#prepare(signal);
    if (onlyAwls || this.#awls.has(peer)) {
      const half = await preparing;
      if (half && (await this.#bare(transport, half, signal))) return;
      await this.#full(transport, this.#prepare(signal), signal);
      return;
    }
    await this.#full(transport, preparing, signal);
  }

  /**
   * Another passage to a peer that is awl.
   * @throws AwlError MEEPO_UNAVAILABLE, MEEPO_REFUSED, and as the punch; the signal's reason
   */
  async passage(peer: string, signal: AbortSignal): Promise<Passage> {
    const half = await this.#prepare(signal);
    if (!half) throw new AwlError('MEEPO_UNAVAILABLE', 'this machine has no address that a peer could reach');
    try {
      return await this.#meet(peer, half, await this.#ask(peer, BARE_SDP, half.word), signal);
    } finally {
      await half.side.close();
    }
  }

  async #prepare(signal: AbortSignal): Promise<PassageHalf | undefined> {
    const { passages, refresh } = this.#options;
    const [half] = await Promise.all([passages?.prepare(signal), refresh()]);
    return half;
  }

  /** Offers awl's own path alone. False if the peer cannot take that. */
  async #bare(transport: Transport, half: PassageHalf, signal: AbortSignal): Promise<boolean> {
    const { peer } = transport;
    try {
      const asked = await this.#ask(peer, BARE_SDP, half.word);
      if (!asked.theirs) return false;
      await this.#race(transport, half, asked, undefined, signal);
      return true;
    } catch (error) {
      // It may have become a real Meepo meanwhile, which finds nothing in such an offer.
      if (!isAwlError(error, 'MEEPO_REFUSED')) throw error;
      this.learn(peer, false);
      return false;
    } finally {
      await half.side.close();
    }
  }

  /** Offers WebRTC, and awl's own path beside it. */
  async #full(
    transport: Transport,
    preparing: Promise<PassageHalf | undefined>,
    signal: AbortSignal,
  ): Promise<void> {
    const { webrtc } = this.#options;
    const { peer } = transport;
    const events = transport.newEvents();
    const [half, begun] = await Promise.all([
      preparing,
      offerWebrtc(webrtc, events).catch(async (error: unknown) => {
        await (await preparing.catch(() => undefined))?.side.close();
        throw error;
      }),
    ]);
    transport.use(begun.link, events);
    try {
      const asked = await this.#ask(peer, begun.sdp, half?.word ?? NO_WORD);
      if (half && asked.theirs) await this.#race(transport, half, asked, begun, signal);
      else await this.#accept(transport, begun, asked, signal);
    } finally {
      await half?.side.close();
    }
  }

  /** Awl's own path, and after a while or when that fails WebRTC, too: the first that is there is used. */
  async #race(
    transport: Transport,
    half: PassageHalf,
    asked: Asked,
    begun: WebrtcOffer | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const decided = new AbortController();
    const late = () => new AwlError('HANDSHAKE_TIMEOUT', 'no path to the peer was found in time');
    const limit = deadline(CONNECT_MS, late, signal);
    const ended = AbortSignal.any([limit.signal, decided.signal]);
    const own = this.#path(transport, half, asked, ended);
    const failed = own.then(
      () => new Promise<never>(() => {}),
      (error: unknown) => {
        if (!ended.aborted)
          this.#options.log.debug(`no path of awl to ${transport.peer}: ${errorText(error)}`);
      },
    );
    const fallback = Promise.race([failed, sleep(FALLBACK_MS, ended)]).then(() =>
      this.#fallback(transport, asked, begun, ended),
    );
    try {
      await Promise.any([own, fallback]);
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof AggregateError ? error.errors[0] : error;
    } finally {
      decided.abort(new Error('another path was quicker'));
      limit.dispose();
    }
  }

  async #path(transport: Transport, half: PassageHalf, asked: Asked, signal: AbortSignal): Promise<void> {
    const { passages } = this.#options;
    const { peer } = transport;
    const passage = await this.#meet(peer, half, asked, signal);
    const greeted = await greetOver(passage, HELLO, signal);
    if (signal.aborted || !passages) {
      await greeted.link.close(0);
      throw signal.reason;
    }
    this.#is(transport, asked);
    passages.carry(transport, { passage, greeted }, (ended) => this.passage(peer, ended));
  }

  /** WebRTC, by what was offered at first or by another offer. */
  async #fallback(
    transport: Transport,
    asked: Asked,
    begun: WebrtcOffer | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    signal.throwIfAborted();
    this.#options.log.debug(`WebRTC to ${transport.peer} is tried`);
    let offered = begun;
    if (!offered) {
      const events = transport.newEvents();
      offered = await offerWebrtc(this.#options.webrtc, events);
      if (signal.aborted) await offered.link.close();
      signal.throwIfAborted();
      transport.use(offered.link, events);
    }
    const answered = hasMedia(asked.answer) ? asked : await this.#ask(transport.peer, offered.sdp, NO_WORD);
    signal.throwIfAborted();
    await this.#accept(transport, offered, answered, signal);
  }

  async #accept(transport: Transport, begun: WebrtcOffer, asked: Asked, signal: AbortSignal): Promise<void> {
    const late = () => new AwlError('HANDSHAKE_TIMEOUT', 'no path to the peer was found in time');
    const limit = deadline(CONNECT_MS, late, signal);
    try {
      this.#is(transport, asked);
      await begun.accept(asked.answer);
      await transport.connected(limit.signal);
    } finally {
      limit.dispose();
    }
  }

  #is(transport: Transport, { secret, isAwl }: Asked): void {
    transport.bindingKey = secret.key;
    transport.isAwl = isAwl;
  }

  async #ask(peer: string, sdp: string, word: string): Promise<Asked> {
    const { keys, carry, passages } = this.#options;
    const offer = withAwlAttribute(sdp, word);
    let sealed = await sealOfferBy(keys, peer, offer);
    let answered = await carry(peer, sealed.descriptor);
    const standIn = readStandIn(peer, answered, Date.now());
    if (standIn) {
      sealed = await sealOfferBy(keys, peer, offer, standIn);
      answered = await carry(peer, sealed.descriptor);
    }
    const { secret } = sealed;
    const answer = openAnswer(peer, secret, answered);
    const attribute = awlAttribute(answer);
    this.learn(peer, attribute !== undefined);
    return { offer, answer, secret, isAwl: attribute !== undefined, theirs: passages?.read(attribute) };
  }

  #meet(peer: string, half: PassageHalf, asked: Asked, signal: AbortSignal): Promise<Passage> {
    const { passages } = this.#options;
    const { theirs, offer, answer } = asked;
    if (!passages || !theirs) {
      throw new AwlError('MESSAGE_MALFORMED', 'the peer offers no path of awl');
    }
    return passages.meet(half, { role: 'invite', peer, theirs, offer, answer, signal });
  }
}
