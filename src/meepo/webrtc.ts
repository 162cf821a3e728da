import type { Duplex } from 'node:stream';
import type { RTCPeerConnection } from 'werift';
import { AwlError } from '../errors.js';
import type { DataChannel, DataChannels } from './data-channels.js';
import { type DataPort, DataStream } from './data-stream.js';
import { Inbox } from './inbox.js';
import { GATHER_MS, MESSAGE_BYTES, OUT_HIGH_BYTES } from './limits.js';
import type { ChannelInfo, LinkEvents, LinkState, MeepoLink } from './link.js';
import { restrainSdp } from './sdp.js';
import { takeOver, widenSockets } from './werift-inside.js';

const SYS = 'sys';
const IGNORED = '_IGNORE_';

export interface WebrtcSettings {
  /** `stun:host:port` and `turn:user:password@host:port`. */
  readonly iceServers: readonly string[];
  /** Only this address of ours: tests and demos on one machine. */
  readonly onlyAddress?: string;
}

/** A connection that was begun: its own description, and the path that becomes of it. */
export interface WebrtcOffer {
  readonly sdp: string;
  readonly link: MeepoLink;
  /** Takes the peer's answer; the link's state tells what becomes of it. */
  accept(answer: string): Promise<void>;
}

function iceServer(text: string): { urls: string; username?: string; credential?: string } {
  const [, user, password, place] = /^turn:([^:@]+):([^@]+)@(.+)$/.exec(text) ?? [];
  if (user === undefined || password === undefined) return { urls: text };
  return { urls: `turn:${place}`, username: user, credential: password };
}

async function connection(settings: WebrtcSettings): Promise<RTCPeerConnection> {
  // Five hundred files: only who opens a transport waits for them.
  const { RTCPeerConnection: Connection } = await import('werift');
  const { onlyAddress } = settings;
  return new Connection({
    iceServers: settings.iceServers.map(iceServer),
    ...(onlyAddress !== undefined && {
      iceInterfaceAddresses: { udp4: onlyAddress },
      iceAdditionalHostAddresses: [onlyAddress],
      iceUseIpv6: false,
    }),
  });
}

/** Waits for all candidates: Meepo sends one description and nothing after it. */
async function gathered(pc: RTCPeerConnection): Promise<string> {
  if (pc.iceGatheringState !== 'complete') {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () =>
          reject(new AwlError('STUN_UNREACHABLE', 'gather timeout', { hint: 'check transport.iceServers' })),
        GATHER_MS,
      );
      pc.iceGatheringStateChange.subscribe((state) => {
        if (state !== 'complete') return;
        clearTimeout(timer);
        resolve();
      });
    });
  }
  widenSockets(pc);
  return pc.localDescription?.sdp ?? '';
}

/** Begins a connection. @throws AwlError STUN_UNREACHABLE */
export async function offerWebrtc(settings: WebrtcSettings, events: LinkEvents): Promise<WebrtcOffer> {
  const pc = await connection(settings);
  const link = new WebrtcLink(pc, events);
  try {
    // Without a channel there is nothing to offer; the real one makes this very one. It is never opened.
    pc.createDataChannel(IGNORED);
    link.takeOver();
    await pc.setLocalDescription(await pc.createOffer());
    const accept = (answer: string) => describe(pc, 'answer', answer, settings);
    return { sdp: await gathered(pc), link, accept };
  } catch (error) {
    await link.close();
    throw error;
  }
}

/** Takes the peer's description, its candidates restrained, and answers an offer. @throws AwlError MESSAGE_MALFORMED */
async function describe(
  pc: RTCPeerConnection,
  type: 'offer' | 'answer',
  text: string,
  settings: WebrtcSettings,
  described: () => void = () => {},
): Promise<void> {
  const sdp = restrainSdp(text, { allowLoopback: settings.onlyAddress !== undefined });
  try {
    // Without it nothing would ever be gathered.
    if (!/^m=application /m.test(sdp)) throw new Error('it has no data channels');
    await pc.setRemoteDescription({ type, sdp });
    described();
    if (type === 'offer') await pc.setLocalDescription(await pc.createAnswer());
  } catch (cause) {
    throw new AwlError('MESSAGE_MALFORMED', 'the session description cannot be used', { cause });
  }
}

/** Answers an offer. @throws AwlError STUN_UNREACHABLE, MESSAGE_MALFORMED */
export async function answerWebrtc(
  settings: WebrtcSettings,
  offer: string,
  events: LinkEvents,
): Promise<{ readonly sdp: string; readonly link: MeepoLink }> {
  const pc = await connection(settings);
  const link = new WebrtcLink(pc, events);
  try {
    await describe(pc, 'offer', offer, settings, () => link.takeOver());
    return { sdp: await gathered(pc), link };
  } catch (error) {
    await link.close();
    throw error;
  }
}

class WebrtcLink implements MeepoLink {
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
