import { AwlError, errorText, isAwlError } from '../errors.js';
import type { Logger } from '../log.js';
import { deadline } from '../util/sleep.js';
import { type Descriptor, openAnswer, openOffer, sealAnswer, sealOffer } from '../wire/meepo/descriptor.js';
import { parseMeepoId } from '../wire/meepo/id.js';
import type { MeepoKeys } from '../wire/meepo/keys.js';
import { CONNECT_MS, OFFERS_MAX, OFFERS_PER_PEER, OFFERS_SEEN, TRANSPORTS_MAX } from './limits.js';
import { LoopbackLink } from './loopback.js';
import { PassageHalf } from './passage.js';
import { awlAttribute, withAwlAttribute } from './sdp.js';
import { Seen } from './seen.js';
import type { Signaler } from './signaling.js';
import { Transport, type TransportOptions } from './transport.js';
import { answerWebrtc, offerWebrtc, type WebrtcSettings } from './webrtc.js';

/** Where there is no path of awl's own to offer: that it is awl all the same. */
const NO_WORD = JSON.stringify({ v: 1 });
const MINUTE_MS = 60_000;
/** Two offers that crossed on the way are this near in time. */
const CROSSED_MS = 30_000;

export interface TransportsOptions extends Pick<TransportOptions, 'handlers' | 'broadcast' | 'onStream'> {
  readonly keys: MeepoKeys;
  readonly webrtc: WebrtcSettings;
  readonly log: Logger;
  /** Ways to reach a peer, tried in this order. */
  readonly signalers: () => readonly Signaler[];
  readonly onGone: (transport: Transport) => void;
}

/** All paths of a node, one a peer. A new path takes the place of an old one once it works, never before. */
export class Transports {
  readonly #options: TransportsOptions;
  readonly #current = new Map<string, Transport>();
  readonly #dialling = new Map<
    string,
    { readonly transport: Transport; readonly done: Promise<Transport> }
  >();
  readonly #answering = new Set<Transport>();
  readonly #seen = new Seen(OFFERS_SEEN);
  readonly #rate = new Map<string, number[]>();
  readonly #closing = new AbortController();
  /** Paths that worked, so far. */
  connectedEver = 0;

  constructor(options: TransportsOptions) {
    this.#options = options;
  }

  /** Working paths, and those that are being made. */
  get all(): readonly Transport[] {
    const making = [...this.#dialling.values()].filter(({ transport }) => !this.#current.has(transport.peer));
    return [...this.#current.values(), ...making.map(({ transport }) => transport)];
  }

  get connected(): readonly Transport[] {
    return [...this.#current.values()].filter(({ state }) => state === 'connected');
  }

  get(peer: string): Transport | undefined {
    return this.#current.get(peer) ?? this.#dialling.get(peer)?.transport;
  }

  /** @throws AwlError MEEPO_REFUSED "transport not exists" */
  need(peer: string): Transport {
    const transport = this.#current.get(peer);
    if (transport) return transport;
    throw new AwlError('MEEPO_REFUSED', 'transport not exists', {
      hint: `make one with: awl meepo transport new ${peer.slice(0, 60)}`,
    });
  }

  /** The path to a peer, made if there is none. @throws AwlError MEEPO_UNAVAILABLE, MEEPO_REFUSED */
  async ensure(peer: string, signal?: AbortSignal): Promise<Transport> {
    const current = this.#current.get(peer);
    if (current?.state === 'connected') return current;
    const { done } = this.#dialling.get(peer) ?? this.#begin(peer);
    const aborted = new Promise<never>((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
    });
    return Promise.race([done, aborted]);
  }

  async close(): Promise<void> {
    this.#closing.abort(new AwlError('MEEPO_UNAVAILABLE', 'the node stops'));
    const all = [...this.all, ...this.#answering];
    await Promise.all(all.map((transport) => transport.close()));
  }

  /**
   * Answers an offer of whoever signed it.
   * @throws AwlError MESSAGE_MALFORMED, MESSAGE_REPLAYED, LIMIT_REACHED
   */
  async answer(offer: Descriptor): Promise<Descriptor> {
    const { keys, log, webrtc } = this.#options;
    const { sdp, secret } = openOffer(keys, offer);
    const peer = offer.ID;
    if (peer === keys.id) throw new AwlError('MESSAGE_MALFORMED', 'an offer of our own came back');
    if (!this.#seen.add(offer.UserData['randPubk'] ?? '')) {
      throw new AwlError('MESSAGE_REPLAYED', 'the offer came before');
    }
    this.#guard(peer);
    const transport = this.#make(peer, peer);
    this.#answering.add(transport);
    try {
      const word = awlAttribute(sdp);
      const events = transport.newEvents();
      const [half, begun] = await Promise.all([
        word === undefined ? undefined : PassageHalf.prepare(webrtc).catch(() => undefined),
        answerWebrtc(webrtc, sdp, events),
      ]);
      transport.use(begun.link, events);
      transport.bindingKey = secret.key;
      transport.isAwl = word !== undefined;
      const own = withAwlAttribute(begun.sdp, half?.word ?? NO_WORD);
      if (half && word) void this.#meet(transport, half, { role: 'accept', word, offer: sdp, answer: own });
      void this.#settle(transport)
        .catch((error: unknown) => log.debug(`transport from ${peer}: ${errorText(error)}`))
        .finally(() => this.#answering.delete(transport));
      return sealAnswer(keys, secret, own);
    } catch (error) {
      this.#answering.delete(transport);
      await transport.close();
      throw error;
    }
  }

  /** Tries awl's own path; true if it is there. Whatever becomes of it, the port is no longer ours. */
  async #meet(
    transport: Transport,
    half: PassageHalf,
    how: Pick<Parameters<PassageHalf['connect']>[0], 'role' | 'word' | 'offer' | 'answer'>,
  ): Promise<boolean> {
    const { log } = this.#options;
    const events = transport.newEvents();
    try {
      const { signal } = this.#closing;
      const link = await half.connect({ ...how, peer: transport.peer, events, log, signal });
      transport.use(link, events);
      return true;
    } catch (error) {
      log.debug(`no path of awl to ${transport.peer}, WebRTC is left: ${errorText(error)}`);
      await half.close();
      return false;
    }
  }

  #guard(peer: string): void {
    const now = performance.now();
    const recent = (this.#rate.get(peer) ?? []).filter((at) => at > now - MINUTE_MS);
    const full = this.#current.size >= TRANSPORTS_MAX && !this.#current.has(peer);
    if (full || this.#answering.size >= OFFERS_MAX || recent.length >= OFFERS_PER_PEER) {
      throw new AwlError('LIMIT_REACHED', 'too many transports');
    }
    if (this.#rate.size > OFFERS_SEEN) this.#rate.clear();
    this.#rate.set(peer, [...recent, now]);
  }

  #make(peer: string, offerer: string): Transport {
    const { keys, handlers, broadcast, onStream } = this.#options;
    return new Transport({
      keys,
      peer,
      offerer,
      handlers,
      ...(broadcast && { broadcast }),
      onStream,
      onGone: (transport) => this.#gone(transport),
    });
  }

  #begin(peer: string): { readonly transport: Transport; readonly done: Promise<Transport> } {
    // A name that is none is told at once, before anything is looked for.
    parseMeepoId(peer);
    this.#closing.signal.throwIfAborted();
    const { keys } = this.#options;
    const transport = this.#make(peer, keys.id);
    const done = (peer === keys.id ? this.#loop(transport) : this.#dial(transport)).finally(() =>
      this.#dialling.delete(peer),
    );
    done.catch(() => {});
    const entry = { transport, done };
    this.#dialling.set(peer, entry);
    return entry;
  }

  async #loop(transport: Transport): Promise<Transport> {
    const events = transport.newEvents();
    transport.use(new LoopbackLink(events), events);
    transport.isAwl = true;
    transport.bindingKey = Buffer.alloc(32);
    return this.#install(transport);
  }

  async #dial(transport: Transport): Promise<Transport> {
    const { keys, webrtc, log } = this.#options;
    const { peer } = transport;
    let half: PassageHalf | undefined;
    try {
      const events = transport.newEvents();
      const [prepared, offer] = await Promise.all([
        PassageHalf.prepare(webrtc).catch(() => undefined),
        offerWebrtc(webrtc, events),
      ]);
      half = prepared;
      transport.use(offer.link, events);
      const own = withAwlAttribute(offer.sdp, half?.word ?? NO_WORD);
      const { descriptor, secret } = sealOffer(keys, peer, own);
      const sdp = openAnswer(peer, secret, await this.#signal(peer, descriptor));
      const word = awlAttribute(sdp);
      transport.bindingKey = secret.key;
      transport.isAwl = word !== undefined;
      const met =
        half &&
        word &&
        (await this.#meet(transport, half, { role: 'invite', word, offer: own, answer: sdp }));
      if (!met) await offer.accept(sdp);
      if (word === undefined) await half?.close();
      return await this.#settle(transport);
    } catch (error) {
      await half?.close();
      await transport.close();
      // The peer's own offer may have come through meanwhile.
      const other = this.#current.get(peer);
      if (other?.state === 'connected') return other;
      log.info(`no transport to ${peer}: ${errorText(error)}`);
      throw isAwlError(error)
        ? error
        : new AwlError('MEEPO_UNAVAILABLE', errorText(error), {
            hint: 'no path was found; are both transport.iceServers lists reachable?',
            cause: error,
          });
    }
  }

  /** The first way that brings an answer. */
  async #signal(peer: string, offer: Descriptor): Promise<Descriptor> {
    let last: unknown = new AwlError('MEEPO_UNAVAILABLE', 'no signaling is configured', {
      hint: 'set signaling.url: awl meepo config set signaling.url=redis://HOST:PORT/1',
    });
    for (const signaler of this.#options.signalers()) {
      try {
        return await signaler.wire(peer, offer, this.#closing.signal);
      } catch (error) {
        this.#options.log.debug(`signaling to ${peer} by ${signaler.name}: ${errorText(error)}`);
        last = error;
      }
    }
    throw last;
  }

  async #settle(transport: Transport): Promise<Transport> {
    const late = () => new AwlError('HANDSHAKE_TIMEOUT', 'no path to the peer was found in time');
    const limit = deadline(CONNECT_MS, late, this.#closing.signal);
    try {
      await transport.connected(limit.signal);
    } catch (error) {
      await transport.close();
      throw error;
    } finally {
      limit.dispose();
    }
    return this.#install(transport);
  }

  #install(transport: Transport): Transport {
    const { peer } = transport;
    this.connectedEver += 1;
    const old = this.#current.get(peer);
    if (old && old.state === 'connected' && this.#crossed(old, transport)) {
      // Both sides offered at once: both keep the path that the smaller name offered.
      const [keep, drop] = old.offerer < transport.offerer ? [old, transport] : [transport, old];
      this.#current.set(peer, keep);
      void drop.close();
      return keep;
    }
    this.#current.set(peer, transport);
    void old?.close();
    this.#options.log.info(`transport to ${peer} (${transport.link.kind}${transport.isAwl ? ', awl' : ''})`);
    return transport;
  }

  #crossed(a: Transport, b: Transport): boolean {
    return (
      a.offerer !== b.offerer && Math.abs(a.madeAt - b.madeAt) < CROSSED_MS && this.#dialling.has(a.peer)
    );
  }

  #gone(transport: Transport): void {
    if (this.#current.get(transport.peer) === transport) {
      this.#current.delete(transport.peer);
      this.#options.log.info(`transport to ${transport.peer} closed`);
    }
    this.#options.onGone(transport);
  }
}
