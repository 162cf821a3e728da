import { AwlError } from '../errors.js';
import type { Logger } from '../log.js';
import type { Endpoint } from '../util/endpoint.js';
import type { PunchRole } from '../wire/confirm.js';
import { DatagramOpener, DatagramSealer } from '../wire/tunnel-datagram.js';
import { bareFrame, numberFrame, type TunnelFrame, textFrame } from '../wire/tunnel-frame.js';
import { encodeHello, readHello, type TunnelHello } from '../wire/tunnel-hello.js';
import { deriveTunnelKeys } from '../wire/tunnel-keys.js';
import { TUNNEL_CLOSE_MS, TUNNEL_DATAGRAM_BYTES } from '../wire/tunnel-limits.js';
import { Channel, ChannelError, type ChannelPort } from './channel.js';
import { Link } from './link.js';
import { type ChannelHandler, Mux } from './mux.js';
import { Pulse } from './pulse.js';
import { openUdx, type UdxPath } from './udx.js';

/** Who is told about datagrams of one channel. */
export type DatagramHandler = (payload: Buffer) => void;

export interface TunnelOptions {
  readonly role: PunchRole;
  readonly sessionKey: Uint8Array;
  readonly local: Endpoint;
  readonly peer: Endpoint;
  /** Gives the punched port back. */
  readonly release: () => Promise<void>;
  readonly hello: TunnelHello;
  /** The peer asks for a target; what is returned is told everything about it. */
  readonly onOpen: (tunnel: Tunnel, id: number, target: string) => ChannelHandler;
  readonly log: Logger;
  readonly signal?: AbortSignal;
}

/**
 * One tunnel over one punched path: sealed records over a UDX stream for connections, sealed datagrams beside it
 * for UDP. Built by {@link openTunnel}; `closed` resolves when it ended in order, and rejects when the peer is lost.
 */
export class Tunnel {
  readonly closed: Promise<string>;
  /** What the peer told of itself. */
  readonly peerHello: Promise<TunnelHello>;
  readonly mux: Mux;
  readonly #options: TunnelOptions;
  readonly #path: UdxPath;
  readonly #link: Link;
  readonly #sealer: DatagramSealer;
  readonly #opener: DatagramOpener;
  readonly #datagrams = new Map<number, DatagramHandler>();
  readonly #channels = new Set<Channel>();
  readonly #pulse: Pulse;
  #greeted = false;
  #hello: TunnelHello | undefined;
  #tooLarge = 0;
  #over = false;
  #resolveHello: (hello: TunnelHello) => void = () => {};
  #rejectHello: (error: Error) => void = () => {};
  #resolveClosed: (reason: string) => void = () => {};
  #rejectClosed: (error: Error) => void = () => {};

  constructor(options: TunnelOptions, path: UdxPath) {
    const keys = deriveTunnelKeys(options.sessionKey, options.role);
    this.#options = options;
    this.#path = path;
    this.closed = new Promise((resolve, reject) => {
      this.#resolveClosed = resolve;
      this.#rejectClosed = reject;
    });
    this.peerHello = new Promise((resolve, reject) => {
      this.#resolveHello = resolve;
      this.#rejectHello = reject;
    });
    this.closed.catch(() => {});
    this.peerHello.catch(() => {});
    this.#sealer = new DatagramSealer(keys.send.datagram);
    this.#opener = new DatagramOpener(keys.receive.datagram);
    this.#link = new Link({
      stream: path.stream,
      send: keys.send,
      receive: keys.receive,
      onFrame: (frame) => this.#frame(frame),
      onClose: (error) => this.#end(error ?? lost('the peer ended the stream without a word')),
    });
    this.mux = new Mux({
      role: options.role,
      send: (frame) => this.#link.send(frame),
      opened: (id, target) => options.onOpen(this, id, target),
    });
    path.socket.on('message', (data: Buffer) => this.#datagram(data));
    path.socket.on('error', () => {});
    this.#pulse = new Pulse({
      knock: () => this.sendDatagram(0, new Uint8Array()),
      ping: (count) => this.#link.send(numberFrame('ping', 0, count)),
      received: () => this.#link.received,
      silent: (started, ms) => this.#silent(started, ms),
    });
    this.#listenForAbort();
  }

  /** Opens a connection to one of the peer's exports. Errors and refusal come as the stream's `error`. */
  connect(target: string): Channel {
    const slot: { id?: number } = {};
    const channel = this.#adopt(slot);
    const id = this.mux.open(target, channel);
    if (id === undefined) channel.destroy(new ChannelError('too many connections at once', true));
    else slot.id = id;
    return channel;
  }

  /** The stream of a channel that the peer opened. */
  adopt(id: number): Channel {
    return this.#adopt({ id });
  }

  #adopt(slot: { id?: number }): Channel {
    const { mux } = this;
    const link = this.#link;
    const port: ChannelPort = {
      send: (bytes) => (slot.id === undefined ? 0 : mux.send(slot.id, bytes)),
      consumed: (bytes) => slot.id !== undefined && mux.consumed(slot.id, bytes),
      end: () => slot.id !== undefined && mux.end(slot.id),
      reset: () => slot.id !== undefined && mux.reset(slot.id),
      get writable() {
        return link.writable;
      },
      whenWritable: (call) => link.whenWritable(call),
    };
    const channel = new Channel(port);
    this.#channels.add(channel);
    channel.once('close', () => this.#channels.delete(channel));
    // Whoever uses the stream has its own listener; one that nobody uses any more must not end the process.
    channel.on('error', () => {});
    return channel;
  }

  /** Subscribes to the datagrams of a channel; the returned function ends that. */
  onDatagrams(id: number, handler: DatagramHandler): () => void {
    this.#datagrams.set(id, handler);
    return () => this.#datagrams.delete(id);
  }

  /** Sends one datagram of a channel: unordered, once, perhaps not at all. False if it is too large. */
  sendDatagram(id: number, payload: Uint8Array): boolean {
    if (this.#over) return false;
    if (payload.length > TUNNEL_DATAGRAM_BYTES) {
      this.#tooLarge += 1;
      return false;
    }
    const { address, port } = this.#path.peer;
    this.#path.socket.trySend(this.#sealer.seal(id, payload), port, address);
    return true;
  }

  get stats() {
    return {
      sent: this.#link.sent,
      received: this.#link.received,
      strays: this.mux.strays,
      badDatagrams: this.#opener.bad,
      replayedDatagrams: this.#opener.replayed,
      tooLarge: this.#tooLarge,
    };
  }

  /** Takes leave: the peer ends its side at once. Resolves when the port is free. */
  async close(reason: string): Promise<void> {
    this.#end(undefined, reason);
    await this.closed.catch(() => {});
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

  #silent(started: boolean, ms: number): void {
    const seconds = Math.round(ms / 1000);
    if (started) {
      this.#end(lost(`nothing came from the peer for ${seconds} s`));
      return;
    }
    this.#end(
      new AwlError('TUNNEL_REFUSED', `the peer did not start its end of the tunnel within ${seconds} s`, {
        hint: 'it needs --export, --import or --stdio too; a program in --exec-command does not speak with the tunnel',
      }),
    );
  }

  #datagram(data: Buffer): void {
    if (this.#over) return;
    const datagram = this.#opener.open(data);
    if (!datagram) return;
    if (datagram.channel === 0) this.#greet();
    else this.#datagrams.get(datagram.channel)?.(datagram.payload);
  }

  /** Once the peer's socket is surely there: what is sent too early waits a second for its repetition. */
  #greet(): void {
    if (this.#greeted) return;
    this.#greeted = true;
    this.#link.send(textFrame('hello', 0, encodeHello(this.#options.hello)));
    this.#link.flush();
  }

  #frame(frame: TunnelFrame): void {
    if (!this.#hello) {
      this.#hello = readHello(frame);
      this.#pulse.started();
      this.#greet();
      this.#resolveHello(this.#hello);
      return;
    }
    if (frame.type === 'ping') this.#link.send({ ...frame, type: 'pong' });
    else if (frame.type === 'bye') this.#end(undefined, 'the peer closed the tunnel');
    else if (frame.type !== 'pong') this.mux.receive(frame);
  }

  #end(error: AwlError | undefined, reason = ''): void {
    if (this.#over) return;
    this.#over = true;
    this.#pulse.stop();
    this.#rejectHello(error ?? lost(reason));
    if (!error) this.#link.send(bareFrame('bye', 0));
    this.#link.end();
    for (const channel of this.#channels) channel.lost(error?.message ?? reason);
    const { sent, received, strays, badDatagrams, replayedDatagrams, tooLarge } = this.stats;
    this.#options.log.debug(
      `tunnel: ${sent} B out, ${received} B in, ${strays} stray frames, datagrams: ${badDatagrams} bad, ` +
        `${replayedDatagrams} replayed, ${tooLarge} too large`,
    );
    void this.#shut(error === undefined).then(() => {
      if (error) this.#rejectClosed(error);
      else this.#resolveClosed(reason);
    });
  }

  async #shut(orderly: boolean): Promise<void> {
    const { stream, socket } = this.#path;
    const gone = new Promise<void>((resolve) => stream.once('close', () => resolve()));
    const timer = setTimeout(() => stream.destroy(), orderly ? TUNNEL_CLOSE_MS : 0);
    await gone;
    clearTimeout(timer);
    await socket.close();
  }
}

/**
 * Takes a confirmed passage and makes it a tunnel. Resolves when the peer's hello was authenticated.
 * @throws AwlError TUNNEL_REFUSED if the peer starts no tunnel, UDP_BIND, TUNNEL_LOST; the signal's reason
 */
export async function openTunnel(options: TunnelOptions): Promise<Tunnel> {
  const keys = deriveTunnelKeys(options.sessionKey, options.role);
  const path = await openUdx({
    local: options.local,
    peer: options.peer,
    ownId: keys.receive.streamId,
    peerId: keys.send.streamId,
    release: options.release,
  });
  const tunnel = new Tunnel(options, path);
  try {
    await tunnel.peerHello;
    return tunnel;
  } catch (error) {
    await tunnel.closed;
    options.signal?.throwIfAborted();
    throw error;
  }
}

function lost(what: string): AwlError {
  return new AwlError('TUNNEL_LOST', `the tunnel is lost: ${what}`, {
    hint: 'the peer or its network is gone, or a NAT forgot the mapping; start the session again',
  });
}
