import { AwlError, isAwlError } from '../errors.js';
import type { Logger } from '../log.js';
import type { PunchRole } from '../wire/confirm.js';
import {
  bareFrame,
  bodyNumber,
  bodyText,
  countFrame,
  encodeFrame,
  numberFrame,
  type TunnelFrame,
  textFrame,
} from '../wire/tunnel-frame.js';
import type { TunnelHello } from '../wire/tunnel-hello.js';
import { TUNNEL_BREAKS_MAX, TUNNEL_CLOSE_MS } from '../wire/tunnel-limits.js';
import type { Channel } from './channel.js';
import { Channels } from './channels.js';
import { firstCount, type Greeted } from './greeting.js';
import { type Link, lost } from './link.js';
import { type ChannelHandler, Mux } from './mux.js';
import { PathSize } from './path-size.js';
import { Patience } from './patience.js';
import { Pulse } from './pulse.js';
import { Sequence } from './sequence.js';
import { Counters, type TunnelStats } from './stats.js';

/** Who is told about datagrams of one channel. */
export type DatagramHandler = (payload: Buffer) => void;

export interface TunnelOptions {
  readonly role: PunchRole;
  /** The peer asks for a target; what is returned is told everything about it. */
  readonly onOpen: (tunnel: Tunnel, id: number, target: string) => ChannelHandler;
  /** How long the tunnel waits for another carrier when it has lost its own; without it, or 0, it ends at once. */
  readonly reconnectMs?: number;
  /** The carrier is lost; whoever can brings another one to {@link Tunnel.attach}. */
  readonly onLost?: (error: AwlError) => void;
  /** It goes on over another carrier. */
  readonly onMoved?: () => void;
  readonly log: Logger;
  readonly signal?: AbortSignal;
}

/**
 * One tunnel to one peer, over one carrier after another. Its connections and their bytes outlive a carrier; what
 * the tunnel cannot outlive is either end's process. `closed` resolves when it ended in order, and rejects when the
 * peer is lost.
 */
export class Tunnel {
  readonly closed: Promise<string>;
  /** What the peer told of itself. */
  readonly peerHello: TunnelHello;
  /** Names this tunnel to its other end; see the hello's `resume`. */
  readonly token: Buffer;
  readonly mux: Mux;
  readonly #options: TunnelOptions;
  readonly #sequence: Sequence;
  readonly #datagrams = new Map<number, DatagramHandler>();
  readonly #channels: Channels;
  readonly #counters = new Counters();
  readonly #patience: Patience;
  readonly #size = new PathSize((what) => this.#options.log.warning(what));
  #onOffer: ((text: string) => void) | undefined;
  #offer: string | undefined;
  #link: Link | undefined;
  /** Where we are moving to. */
  #next: Link | undefined;
  #pulse: Pulse | undefined;
  #over = false;
  #resolveClosed: (reason: string) => void = () => {};
  #rejectClosed: (error: Error) => void = () => {};

  constructor(options: TunnelOptions, { link, hello }: Greeted) {
    this.#options = options;
    this.peerHello = hello;
    this.token = link.carrier.keys.resume;
    this.closed = new Promise((resolve, reject) => {
      this.#resolveClosed = resolve;
      this.#rejectClosed = reject;
    });
    this.closed.catch(() => {});
    this.#patience = new Patience({
      ms: options.reconnectMs ?? 0,
      ...(options.role === 'invite' && { breaks: TUNNEL_BREAKS_MAX }),
      over: (error) => this.#end(error),
    });
    this.#sequence = new Sequence({
      onFrame: (frame, keep) => this.#frame(frame, keep),
      onLost: (error) => this.#lost(error),
      onBroken: (error) => this.#end(error),
    });
    this.mux = new Mux({
      role: options.role,
      send: (frame) => this.#sequence.send(frame),
      opened: (id, target) => options.onOpen(this, id, target),
    });
    this.#channels = new Channels(this.mux, this.#sequence);
    this.#use(link, 0);
    this.#listenForAbort();
  }

  /** Opens a connection to one of the peer's exports. Errors and refusal come as the stream's `error`. */
  connect(target: string): Channel {
    return this.#channels.connect(target);
  }

  /** The stream of a channel that the peer opened. */
  adopt(id: number): Channel {
    return this.#channels.adopt(id);
  }

  /** Subscribes to the datagrams of a channel; the returned function ends that. */
  onDatagrams(id: number, handler: DatagramHandler): () => void {
    this.#datagrams.set(id, handler);
    return () => this.#datagrams.delete(id);
  }

  /** Tells the peer something about ways to meet, which its {@link onOffer} is told. */
  offer(text: string): void {
    this.#sequence.send(textFrame('offer', 0, text));
  }

  /** Subscribes to the peer's offers; one that came before is told at once. */
  onOffer(handler: (text: string) => void): void {
    this.#onOffer = handler;
    const early = this.#offer;
    this.#offer = undefined;
    if (early !== undefined) handler(early);
  }

  /** Sends one datagram of a channel: unordered, once, perhaps not at all. False if it is too large. */
  sendDatagram(id: number, payload: Uint8Array): boolean {
    if (this.#over) return false;
    const link = this.#link;
    if (!this.#size.admits(payload.length, link)) {
      this.#counters.tooLarge += 1;
      return false;
    }
    if (link?.datagrams.available) link.datagrams.send(id, payload);
    else if (this.#sequence.writable) this.#sequence.send({ type: 'datagram', channel: id, body: payload });
    return true;
  }

  /** A snapshot of everything that is counted. */
  get stats(): TunnelStats {
    return this.#counters.snapshot(this.#link, {
      state: this.#over ? 'closed' : this.#link ? 'open' : 'reconnecting',
      channels: this.mux.size,
      opened: this.mux.opened,
      refused: this.mux.refused,
      strays: this.mux.strays,
      kept: this.#sequence.kept,
      maxDatagram: this.#size.of(this.#link),
    });
  }

  /** The carrier that is in use; none while the tunnel waits for one. */
  get carrier() {
    return this.#link?.carrier;
  }

  /**
   * Moves to another carrier to the same peer, whether the old one still works or not; the old one is closed. Both
   * sides do this, the inviter with a hello that names {@link token}. Resolves when the tunnel goes on over it.
   * @throws AwlError TUNNEL_LOST if the new carrier breaks meanwhile: the tunnel then waits for the next one
   */
  async attach({ link }: Greeted): Promise<void> {
    if (this.#over) {
      await link.close(0);
      throw lost('it ended before the new path was there');
    }
    void this.#next?.close(0);
    this.#next = link;
    // The inviter knows that both want this; the acceptor keeps what it has until the inviter says so.
    const inviting = this.#options.role === 'invite';
    if (inviting) this.#take(link);
    try {
      const count = await firstCount(link);
      if (this.#over || this.#next !== link) throw lost('another path was quicker');
      if (!inviting) this.#take(link);
      this.#next = undefined;
      this.#counters[this.#patience.waiting ? 'reconnects' : 'moves'] += 1;
      this.#use(link, count);
      this.#options.onMoved?.();
    } catch (error) {
      if (this.#next === link) this.#next = undefined;
      void link.close(0);
      if (isAwlError(error, 'TUNNEL_FORGOTTEN')) this.#end(error);
      else if (!this.#over && !this.#link) this.#wait(isAwlError(error) ? error : lost('it broke'));
      throw error;
    }
  }

  /** Takes leave: the peer ends its side at once. Resolves when the port is free. */
  async close(reason: string): Promise<void> {
    this.#end(undefined, reason);
    await this.closed.catch(() => {});
  }

  /** Ends a tunnel that nobody should wait for any longer: `closed` rejects with TUNNEL_LOST. */
  giveUp(why: string): void {
    this.#end(lost(why));
  }

  /** Nothing is read from the old link any more, and the peer learns up to where we read it. */
  #take(link: Link): void {
    this.#leave();
    link.write(encodeFrame(countFrame('resume', this.#sequence.got)));
  }

  #leave(): void {
    this.#pulse?.stop();
    this.#sequence.detach();
    if (this.#link) this.#counters.left(this.#link);
    void this.#link?.close(0);
    this.#link = undefined;
  }

  #use(link: Link, peerGot: number): void {
    this.#patience.end();
    this.#link = link;
    this.#size.ping(link);
    link.datagrams.listen(({ channel, payload }) => this.#datagram(channel, payload));
    this.#pulse = new Pulse({
      ping: () => {
        this.#sequence.acknowledge();
        this.#sequence.send(numberFrame('ping', 0, this.#counters.pinged()));
        this.#size.ping(link);
      },
      received: () => link.received,
      silent: (ms) => this.#lost(lost(`nothing came from the peer for ${Math.round(ms / 1000)} s`)),
    });
    try {
      this.#sequence.attach(link, peerGot);
    } catch (error) {
      this.#end(error instanceof AwlError ? error : lost(String(error)));
    }
  }

  #lost(error: AwlError): void {
    if (this.#over) return;
    this.#leave();
    // The peer that is moving lets go of the old path first; if the new one fails, `attach` says so.
    if (!this.#next) this.#wait(error);
  }

  #wait(error: AwlError): void {
    if (this.#patience.begin(error)) this.#options.onLost?.(error);
  }

  #listenForAbort(): void {
    const { signal } = this.#options;
    if (!signal) return;
    const onAbort = () => this.#end(undefined, 'stopped');
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    const forget = () => signal.removeEventListener('abort', onAbort);
    void this.closed.then(forget, forget);
  }

  #datagram(channel: number, payload: Buffer): void {
    if (!this.#over) this.#datagrams.get(channel)?.(payload);
  }

  #offered(text: string): void {
    if (this.#onOffer) this.#onOffer(text);
    else this.#offer = text;
  }

  #frame(frame: TunnelFrame, keep: () => void): void {
    if (frame.type === 'ping') this.#sequence.send({ ...frame, type: 'pong' });
    else if (frame.type === 'pong') this.#counters.ponged(bodyNumber(frame));
    else if (frame.type === 'bye') this.#end(undefined, 'the peer closed the tunnel');
    else if (frame.type === 'offer') this.#offered(bodyText(frame));
    else if (frame.type === 'datagram') this.#datagram(frame.channel, Buffer.from(frame.body));
    else this.mux.receive(frame, keep);
  }

  #end(error: AwlError | undefined, reason = ''): void {
    if (this.#over) return;
    this.#over = true;
    this.#patience.end();
    this.#pulse?.stop();
    if (!error) this.#sequence.send(bareFrame('bye', 0));
    this.#sequence.end();
    this.#channels.lost(error?.message ?? reason);
    this.#options.log.debug(`tunnel: ${JSON.stringify(this.stats)}`);
    const closing = [this.#link?.close(error ? 0 : TUNNEL_CLOSE_MS), this.#next?.close(0)];
    void Promise.all(closing).then(() => {
      if (error) this.#rejectClosed(error);
      else this.#resolveClosed(reason);
    });
  }
}
