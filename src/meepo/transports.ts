import { AwlError, errorText, isAwlError } from '../errors.js';
import type { Logger } from '../log.js';
import { deadline } from '../util/sleep.js';
import type { Descriptor } from '../wire/meepo/descriptor.js';
import { parseMeepoId } from '../wire/meepo/id.js';
import type { MeepoKeys } from '../wire/meepo/keys.js';
import { Answering } from './answering.js';
import { Dialling } from './dialling.js';
import { CONNECT_MS, TRANSPORTS_MAX } from './limits.js';
import { LoopbackLink } from './loopback.js';
import { Passages } from './passages.js';
import { type Signaler, Signaling } from './signaling.js';
import { Transport, type TransportOptions } from './transport.js';
import type { WebrtcSettings } from './webrtc.js';

/** Two offers that crossed on the way are this near in time. */
const CROSSED_MS = 30_000;

export interface TransportsOptions extends Pick<TransportOptions, 'handlers' | 'broadcast' | 'onStream'> {
  readonly keys: MeepoKeys;
  readonly webrtc: WebrtcSettings;
  /** Awl's own paths to nodes that are awl; default true. */
  readonly passages?: boolean;
  readonly portMapping?: boolean;
  /** Real nodes cannot be reached by what carries our offers. */
  readonly onlyAwls?: boolean;
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
  readonly #passages: Passages | undefined;
  readonly #dial: Dialling;
  readonly #answering: Answering;
  readonly #closing = new AbortController();
  /** Paths that worked, so far. */
  connectedEver = 0;

  constructor(options: TransportsOptions) {
    const { keys, webrtc, log, portMapping, onlyAwls = false } = options;
    this.#options = options;
    if (options.passages !== false) {
      const ports = portMapping === undefined ? {} : { portMapping };
      this.#passages = new Passages({ id: keys.id, webrtc, log, ...ports });
    }
    const passages = this.#passages;
    const signaling = new Signaling(options.signalers, log, this.#closing.signal);
    const carry = (peer: string, offer: Descriptor) => signaling.carry(peer, offer);
    const refresh = () => signaling.refresh();
    this.#dial = new Dialling({ keys, webrtc, passages, onlyAwls, carry, refresh, log });
    this.#answering = new Answering({
      ...{ keys, webrtc, passages, log },
      dialling: this.#dial,
      make: (peer) => this.#make(peer, peer),
      install: (transport) => this.#install(transport),
      settle: (transport) => this.#settle(transport),
      current: (peer) => this.#current.get(peer),
      full: (peer) => this.#current.size >= TRANSPORTS_MAX && !this.#current.has(peer),
      closing: this.#closing.signal,
    });
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
    await Promise.all([this.#answering.close(), ...this.all.map((transport) => transport.close())]);
    this.#passages?.close();
  }

  /**
   * Answers an offer of whoever signed it.
   * @throws AwlError MESSAGE_MALFORMED, MESSAGE_REPLAYED, LIMIT_REACHED
   */
  answer(offer: Descriptor): Promise<Descriptor> {
    return this.#answering.answer(offer);
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
    const lost = this.#current.get(peer);
    const transport = lost ?? this.#make(peer, keys.id);
    const work = peer === keys.id ? this.#loop(transport) : lost ? this.#back(lost) : this.#open(transport);
    const done = work.finally(() => this.#dialling.delete(peer));
    done.catch(() => {});
    const entry = { transport, done };
    this.#dialling.set(peer, entry);
    return entry;
  }

  /** Connections wait on a lost path: it is looked for anew. If the peer has forgotten them, there is nothing to keep. */
  async #back(lost: Transport): Promise<Transport> {
    const { peer } = lost;
    try {
      await lost.passageLink?.comeBack(this.#closing.signal);
      if (lost.state === 'connected') return lost;
    } catch (error) {
      this.#closing.signal.throwIfAborted();
      if (lost.state === 'connected') return lost;
      if (lost.state !== 'closed') throw isAwlError(error) ? error : this.#noPath(error);
    }
    return this.#open(this.#make(peer, this.#options.keys.id));
  }

  async #loop(transport: Transport): Promise<Transport> {
    const events = transport.newEvents();
    transport.use(new LoopbackLink(events), events);
    transport.isAwl = true;
    transport.bindingKey = Buffer.alloc(32);
    return this.#install(transport);
  }

  async #open(transport: Transport): Promise<Transport> {
    const { log } = this.#options;
    const { peer } = transport;
    try {
      await this.#dial.open(transport, this.#closing.signal);
      return this.#install(transport);
    } catch (error) {
      await transport.close();
      // The peer's own offer may have come through meanwhile.
      const other = this.#current.get(peer);
      if (other?.state === 'connected') return other;
      log.info(`no transport to ${peer}: ${errorText(error)}`);
      throw isAwlError(error) ? error : this.#noPath(error);
    }
  }

  #noPath(cause: unknown): AwlError {
    return new AwlError('MEEPO_UNAVAILABLE', errorText(cause), {
      hint: 'no path was found; are both transport.iceServers lists reachable?',
      cause,
    });
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
