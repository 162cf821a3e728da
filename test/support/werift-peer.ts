import { connect, createServer, type Socket } from 'node:net';
import { type RTCDataChannel, RTCPeerConnection } from 'werift';

/** What a Meepo node of the tests leaves to a WebRTC library: one transport, its `sys` channel and its teleportations. */
export interface MeepoPeer {
  onSys: (bytes: Buffer) => void;
  offer(): Promise<string>;
  answer(sdp: string): Promise<string>;
  /** Takes the answer to its offer; connected once it returns. */
  answered(sdp: string): Promise<void>;
  /** Opens the channel where the other side has not. */
  sendSys(bytes: Buffer): Promise<void>;
  /** A sink's connection, for the channel of that name. */
  dial(label: string, to: string): Promise<void>;
  /** A source: `label` names the channel of each connection, and fails where the other side refuses it. */
  listen(label: () => Promise<string>): Promise<{ at: string; close: () => void }>;
  close(): Promise<void>;
}

const ICE = {
  iceServers: [],
  iceInterfaceAddresses: { udp4: '127.0.0.1' },
  iceAdditionalHostAddresses: ['127.0.0.1'],
  iceUseIpv6: false,
};

/** werift looks at all that waits for each packet that is acknowledged: it is given little of it at a time. */
const INSIDE_BYTES = 256 * 1024;

function opened(channel: RTCDataChannel): Promise<void> {
  return new Promise((resolve) => {
    if (channel.readyState === 'open') resolve();
    channel.stateChanged.subscribe((state) => state === 'open' && resolve());
  });
}

/** TCP and data channel as the real one joins them: no backpressure, and either end closes both. */
function splice(socket: Socket, channel: RTCDataChannel): void {
  const waiting: Buffer[] = [];
  const pump = () => {
    while (channel.readyState === 'open' && channel.bufferedAmount < INSIDE_BYTES) {
      const next = waiting.shift();
      if (!next) return;
      channel.send(next);
    }
  };
  channel.bufferedAmountLowThreshold = INSIDE_BYTES / 2;
  channel.bufferedAmountLow.subscribe(pump);
  socket.on('data', (data) => {
    for (let at = 0; at < data.length; at += 32_768) waiting.push(data.subarray(at, at + 32_768));
    pump();
  });
  socket.on('error', () => {});
  socket.on('close', () => channel.readyState === 'open' && channel.close());
  channel.onMessage.subscribe((message) => socket.write(message));
  channel.stateChanged.subscribe((state) => {
    if (state === 'closed' || state === 'closing') socket.end();
  });
}

/** On werift, over loopback. */
export class WeriftPeer implements MeepoPeer {
  onSys: (bytes: Buffer) => void = () => {};
  readonly #pc = new RTCPeerConnection(ICE);
  readonly #dialled = new Map<string, Socket>();
  #sys: RTCDataChannel | undefined;

  constructor() {
    this.#pc.onDataChannel.subscribe((channel) => {
      if (channel.label === 'sys') this.#bind(channel);
      const socket = this.#dialled.get(channel.label);
      if (socket) splice(socket, channel);
    });
  }

  #bind(channel: RTCDataChannel): void {
    this.#sys = channel;
    channel.onMessage.subscribe((message) => this.onSys(Buffer.from(message as Buffer)));
  }

  async #description(make: () => ReturnType<RTCPeerConnection['createOffer']>): Promise<string> {
    await this.#pc.setLocalDescription(await make());
    await new Promise<void>((resolve) => {
      if (this.#pc.iceGatheringState === 'complete') resolve();
      this.#pc.iceGatheringStateChange.subscribe((state) => state === 'complete' && resolve());
    });
    return this.#pc.localDescription?.sdp ?? '';
  }

  async offer(): Promise<string> {
    this.#pc.createDataChannel('_IGNORE_');
    return this.#description(() => this.#pc.createOffer());
  }

  async answer(sdp: string): Promise<string> {
    await this.#pc.setRemoteDescription({ type: 'offer', sdp });
    return this.#description(() => this.#pc.createAnswer());
  }

  async answered(sdp: string): Promise<void> {
    const connected = new Promise<void>((resolve) => {
      this.#pc.connectionStateChange.subscribe((state) => state === 'connected' && resolve());
    });
    await this.#pc.setRemoteDescription({ type: 'answer', sdp });
    await connected;
  }

  async #open(label: string): Promise<RTCDataChannel> {
    const channel = this.#pc.createDataChannel(label, { ordered: true });
    if (label === 'sys') this.#bind(channel);
    await opened(channel);
    return channel;
  }

  async sendSys(bytes: Buffer): Promise<void> {
    (this.#sys ?? (await this.#open('sys'))).send(bytes);
  }

  async dial(label: string, to: string): Promise<void> {
    const [host = '', port = ''] = to.split(':');
    const socket = connect(Number(port), host);
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    this.#dialled.set(label, socket);
  }

  async listen(label: () => Promise<string>): Promise<{ at: string; close: () => void }> {
    const server = createServer(async (socket) => {
      socket.pause();
      const name = await label().catch(() => undefined);
      if (name === undefined) {
        socket.destroy();
        return;
      }
      splice(socket, await this.#open(name));
      socket.resume();
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    return {
      at: `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
      close: () => server.close(),
    };
  }

  async close(): Promise<void> {
    for (const socket of this.#dialled.values()) socket.destroy();
    await this.#pc.close();
  }
}
