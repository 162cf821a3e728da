import type { Duplex } from 'node:stream';
import type { RTCPeerConnection } from 'werift';
import type { DataChannel, DataChannels } from './data-channels.js';
import { type DataPort, DataStream } from './data-stream.js';
import { Inbox } from './inbox.js';
import { MESSAGE_BYTES, OUT_HIGH_BYTES } from './limits.js';
import type { ChannelInfo, LinkEvents, LinkState, MeepoLink } from './link.js';
import { takeOver } from './werift-inside.js';

const SYS = 'sys';
/** The real one's first channel, which nobody uses. */
export const IGNORED = '_IGNORE_';

/** A WebRTC connection: its `sys` channel, and a data channel for every stream. The wire knows no half-close. */
export class WebrtcLink implements MeepoLink {
  readonly kind = 'webrtc';
  readonly halfClose = false;
  readonly #pc: RTCPeerConnection;
  readonly #events: LinkEvents;
  readonly #channels = new Map<DataChannel, DataStream | undefined>();
  readonly #inbox: Inbox;
  readonly #port: DataPort;
  #inside: DataChannels | undefined;
  #sys: Promise<DataChannel> | undefined;
  #closed: Promise<void> | undefined;
  #state: LinkState = 'new';

  constructor(pc: RTCPeerConnection, events: LinkEvents) {
    this.#pc = pc;
    this.#events = events;
    this.#inbox = new Inbox((bytes) => this.#inside?.hold(-bytes));
    const channels = this.#channels;
    this.#port = {
      inbox: this.#inbox,
      get allowance() {
        return Math.max(MESSAGE_BYTES, Math.floor(OUT_HIGH_BYTES / Math.max(1, channels.size - 1)));
      },
    };
    pc.connectionStateChange.subscribe((state) => this.#to(state));
  }

  /** To be called when the connection has described its data channels, and before it connects. */
  takeOver(): void {
    const port = {
      ready: () => {},
      opened: (channel: DataChannel) => this.#arrived(channel),
      ended: () => void this.close(),
    };
    this.#inside = takeOver(this.#pc, port, (label) => label === SYS);
  }

  get state(): LinkState {
    return this.#state;
  }

  get channels(): readonly ChannelInfo[] {
    return [...this.#channels.keys()].map(({ label, state }) => ({ label, state }));
  }

  async sendSys(bytes: Buffer): Promise<void> {
    this.#sys ??= this.#openSys();
    const channel = await this.#sys;
    if (channel.state !== 'open') throw new Error('the control channel is closed');
    channel.send(bytes);
  }

  async openStream(label: string): Promise<Duplex> {
    const { channel, opened } = this.#open(label);
    const stream = this.#stream(channel, opened.to);
    await opened.promise;
    return stream;
  }

  close(): Promise<void> {
    this.#closed ??= this.#shut();
    return this.#closed;
  }

  async #shut(): Promise<void> {
    this.#to('closed');
    this.#inbox.close();
    for (const stream of this.#channels.values()) stream?.destroy();
    this.#inside?.end();
    // A datagram leaves behind the look at its address: a socket that is closed at once swallows the last word.
    await new Promise((resolve) => setImmediate(resolve));
    await this.#pc.close().catch(() => {});
  }

  #to(state: LinkState): void {
    if (this.#state === state || this.#state === 'closed') return;
    this.#state = state;
    this.#events.state(state);
  }

  #open(label: string): { readonly channel: DataChannel; readonly opened: Opening } {
    if (this.#state !== 'connected' || !this.#inside) throw new Error('the transport is not connected');
    return { channel: this.#inside.open(label), opened: new Opening() };
  }

  async #openSys(): Promise<DataChannel> {
    const { channel, opened } = this.#open(SYS);
    this.#bindSys(channel, opened.to);
    await opened.promise;
    return channel;
  }

  #bindSys(channel: DataChannel, onState?: Opening['to']): void {
    this.#channels.set(channel, undefined);
    channel.events = {
      message: (bytes) => this.#events.sys(bytes),
      drain: () => {},
      state: (state) => {
        if (state === 'closed') this.#channels.delete(channel);
        onState?.(state);
      },
    };
  }

  #arrived(channel: DataChannel): void {
    if (channel.label === IGNORED) return;
    if (channel.label === SYS) {
      this.#bindSys(channel);
      this.#sys ??= Promise.resolve(channel);
      return;
    }
    this.#events.stream(channel.label, this.#stream(channel));
  }

  #stream(channel: DataChannel, onState?: Opening['to']): DataStream {
    const stream = new DataStream(channel, this.#port, (state) => {
      if (state === 'closed') this.#channels.delete(channel);
      onState?.(state);
    });
    this.#channels.set(channel, stream);
    return stream;
  }
}

/** Waits until the peer has taken a channel of ours. */
class Opening {
  readonly promise: Promise<void>;
  readonly to: (state: ChannelInfo['state']) => void;

  constructor() {
    let settle: Opening['to'] = () => {};
    this.promise = new Promise((resolve, reject) => {
      settle = (state) => {
        if (state === 'open') resolve();
        else if (state !== 'connecting') reject(new Error('the data channel is closed'));
      };
    });
    this.to = settle;
    this.promise.catch(() => {});
  }
}
