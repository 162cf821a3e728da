import type { Duplex } from 'node:stream';
import type { Logger } from '../log.js';
import { greetOver } from '../session/carrying.js';
import type { Passage } from '../session/passage.js';
import { bringBack } from '../session/reconnecting.js';
import type { TcpUpgradeSettings } from '../session/tcp-places.js';
import { upgradeToTcp } from '../session/tcp-upgrade.js';
import type { Channel } from '../tunnel/channel.js';
import type { Greeted } from '../tunnel/greeting.js';
import { type ChannelHandler, NOBODY } from '../tunnel/mux.js';
import { Tunnel } from '../tunnel/tunnel.js';
import { PACKET_MAX_BYTES } from '../wire/meepo/packet.js';
import type { TunnelHello } from '../wire/tunnel-hello.js';
import { TUNNEL_RECONNECT_MS } from '../wire/tunnel-limits.js';
import type { ChannelInfo, LinkEvents, LinkState, MeepoLink } from './link.js';

/** What a channel of the tunnel is for: the control channel of its opener, or a labelled stream. */
const SYS = 'meepo-sys';
const STREAM = 'meepo-stream:';
const TARGET_MAX_BYTES = 1_000;
const LENGTH_BYTES = 4;

/** Messages in a stream, each behind its length in 4 bytes; anything too large ends the stream. */
function readMessages(channel: Channel, heard: (bytes: Buffer) => void): void {
  let waiting: Buffer = Buffer.alloc(0);
  channel.on('data', (data: Buffer) => {
    waiting = waiting.length === 0 ? data : Buffer.concat([waiting, data]);
    while (waiting.length >= LENGTH_BYTES) {
      const length = waiting.readUInt32BE(0);
      if (length > PACKET_MAX_BYTES) {
        channel.destroy();
        return;
      }
      if (waiting.length < LENGTH_BYTES + length) return;
      heard(Buffer.from(waiting.subarray(LENGTH_BYTES, LENGTH_BYTES + length)));
      waiting = waiting.subarray(LENGTH_BYTES + length);
    }
  });
}

/** What every tunnel of a node says of itself. */
export const HELLO: TunnelHello = { exports: [], keeps: true, tcp: true };

export interface PassageLinkOptions {
  readonly passage: Passage;
  readonly greeted: Greeted;
  readonly settings: TcpUpgradeSettings;
  readonly events: LinkEvents;
  /** Makes another passage to the same peer. */
  readonly again: (signal: AbortSignal) => Promise<Passage>;
  readonly log: Logger;
}

/**
 * A punched path and awl's own tunnel on it: streams with half-close and credit of their own, which outlive the path.
 * Who made the offer punches again when the path is lost; the other side waits, unless somebody needs the peer.
 */
export class PassageLink implements MeepoLink {
  readonly kind = 'passage';
  readonly halfClose = true;
  readonly #options: PassageLinkOptions;
  readonly #tunnel: Tunnel;
  readonly #labels = new Map<Duplex, string>();
  readonly #end = new AbortController();
  #sys: Channel | undefined;
  #state: LinkState = 'connected';

  constructor(options: PassageLinkOptions) {
    const { passage, greeted, again, log } = options;
    const { role } = passage;
    this.#options = options;
    const onPassage = (path: Passage) => this.#improve(path);
    this.#tunnel = new Tunnel(
      {
        role,
        onOpen: (tunnel, id, target) => this.#opened(tunnel, id, target),
        reconnectMs: greeted.hello.keeps ? TUNNEL_RECONNECT_MS : 0,
        onLost: (error) => {
          log.info(`the path is lost, its connections wait: ${error.message}`);
          this.#to('disconnected');
          const invite = (signal: AbortSignal) => again(AbortSignal.any([signal, this.#end.signal]));
          if (role === 'invite') void bringBack(this.#tunnel, { hello: HELLO, invite, onPassage, log });
        },
        onMoved: () => this.#to('connected'),
        log,
      },
      greeted,
    );
    const over = () => this.#to('closed');
    this.#tunnel.closed.then(over, over);
    onPassage(passage);
  }

  /** Names the tunnel to its other end. */
  get token(): Buffer {
    return this.#tunnel.token;
  }

  /** Goes on over a path that the peer brought. @throws AwlError TUNNEL_LOST if that breaks meanwhile */
  async rejoin(passage: Passage, greeted: Greeted): Promise<void> {
    await this.#tunnel.attach(greeted);
    this.#improve(passage);
  }

  /** Looks for another path now. @throws AwlError as the punch; TUNNEL_REFUSED if the peer knows the tunnel no more */
  async comeBack(signal: AbortSignal): Promise<void> {
    const ended = AbortSignal.any([signal, this.#end.signal]);
    const passage = await this.#options.again(ended);
    await this.rejoin(passage, await greetOver(passage, { ...HELLO, resume: this.token }, ended));
  }

  get state(): LinkState {
    return this.#state;
  }

  get channels(): readonly ChannelInfo[] {
    const sys = { label: 'sys', state: 'open' as const };
    return [sys, ...[...this.#labels.values()].map((label) => ({ label, state: 'open' as const }))];
  }

  async sendSys(bytes: Buffer): Promise<void> {
    if (this.#state === 'closed') throw new Error('the transport is not connected');
    this.#sys ??= this.#tunnel.connect(SYS);
    const head = Buffer.alloc(LENGTH_BYTES);
    head.writeUInt32BE(bytes.length);
    this.#sys.write(Buffer.concat([head, bytes]));
  }

  async openStream(label: string): Promise<Duplex> {
    if (this.#state === 'closed') throw new Error('the transport is not connected');
    const target = STREAM + label;
    if (Buffer.byteLength(target) > TARGET_MAX_BYTES) throw new Error('the label is too long');
    return this.#named(this.#tunnel.connect(target), label);
  }

  async close(): Promise<void> {
    this.#end.abort(new Error('the transport is closed'));
    await this.#tunnel.close('the transport is closed');
    this.#to('closed');
  }

  #opened(tunnel: Tunnel, id: number, target: string): ChannelHandler {
    if (target !== SYS && !target.startsWith(STREAM)) {
      tunnel.mux.refuse(id, 'no channel of Meepo');
      return NOBODY;
    }
    const channel = tunnel.adopt(id);
    tunnel.mux.accept(id);
    if (target === SYS) {
      readMessages(channel, (bytes) => this.#options.events.sys(bytes));
      return channel;
    }
    const label = target.slice(STREAM.length);
    this.#named(channel, label);
    this.#options.events.stream(label, channel);
    return channel;
  }

  #named(channel: Channel, label: string): Channel {
    this.#labels.set(channel, label);
    channel.once('close', () => this.#labels.delete(channel));
    return channel;
  }

  /** TCP where it can be had, beside what flows already. */
  #improve(passage: Passage): void {
    const { settings, log } = this.#options;
    void upgradeToTcp({ tunnel: this.#tunnel, passage, hello: HELLO, settings, log });
  }

  #to(state: LinkState): void {
    if (this.#state === state || this.#state === 'closed') return;
    this.#state = state;
    this.#options.events.state(state);
  }
}
