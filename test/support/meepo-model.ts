import { connect, createServer, type Socket } from 'node:net';
import bcrypt from 'bcryptjs';
import { createClient } from 'redis';
import { type RTCDataChannel, RTCPeerConnection } from 'werift';
import {
  type Descriptor,
  openAnswer,
  openOffer,
  sealAnswer,
  sealOffer,
} from '../../src/wire/meepo/descriptor.js';
import { decodeEvent, encodeEvent, type MeepoEvent } from '../../src/wire/meepo/event.js';
import { meepoKeys } from '../../src/wire/meepo/keys.js';
import {
  bodyField,
  decodeBody,
  decodePacket,
  encodeBody,
  encodePacket,
  signPacket,
} from '../../src/wire/meepo/packet.js';

const ICE = {
  iceServers: [],
  iceInterfaceAddresses: { udp4: '127.0.0.1' },
  iceAdditionalHostAddresses: ['127.0.0.1'],
  iceUseIpv6: false,
};

const client = (url: string) => createClient({ url });

function gathered(pc: RTCPeerConnection): Promise<void> {
  return new Promise((resolve) => {
    if (pc.iceGatheringState === 'complete') resolve();
    pc.iceGatheringStateChange.subscribe((state) => state === 'complete' && resolve());
  });
}

function opened(channel: RTCDataChannel): Promise<void> {
  return new Promise((resolve) => {
    if (channel.readyState === 'open') resolve();
    channel.stateChanged.subscribe((state) => state === 'open' && resolve());
  });
}

/** werift looks at all that waits for each packet that is acknowledged: it is given little of it at a time. */
const INSIDE_BYTES = 256 * 1024;

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

/**
 * What the real Meepo 0.7.1 does, as far as its wire shows it (shared spec): one peer, no attribute of awl, secrets as
 * bcrypt, a sys channel made by whoever asks first, `transport exists` while it has one.
 */
export class MeepoModel {
  readonly keys = meepoKeys();
  readonly requests: string[] = [];
  readonly dialled = new Map<string, Socket>();
  readonly #sinks = new Map<string, string>();
  readonly #waiting = new Map<number, (event: MeepoEvent) => void>();
  readonly #answers = new Map<
    number,
    (result: { error?: string; body: ReturnType<typeof decodeBody> }) => void
  >();
  readonly #url: string;
  readonly #secret: string | undefined;
  #clients: ReturnType<typeof client>[] = [];
  #pc: RTCPeerConnection | undefined;
  #sys: RTCDataChannel | undefined;
  #peer = '';
  #session = 1000;

  constructor(url: string, secret?: string) {
    this.#url = url;
    this.#secret = secret;
  }

  get id(): string {
    return this.keys.id;
  }

  async start(): Promise<void> {
    const [ear, mouth] = [client(this.#url), client(this.#url)];
    this.#clients = [ear, mouth];
    await Promise.all([ear.connect(), mouth.connect()]);
    await ear.subscribe(`meepo.engine.${this.id}`, (text) => void this.#heard(decodeEvent(text)));
  }

  async #say(peer: string, event: MeepoEvent): Promise<void> {
    await this.#clients[1]?.publish(`meepo.engine.${peer}`, encodeEvent(event));
  }

  async #heard(event: MeepoEvent): Promise<void> {
    if (event.name !== 'wire') {
      this.#waiting.get(event.session)?.(event);
      return;
    }
    const offer = event.descriptor as Descriptor;
    if (this.#pc) {
      await this.#say(offer.ID, { name: 'error', session: event.session, error: 'transport exists' });
      return;
    }
    const { sdp, secret } = openOffer(this.keys, offer);
    const pc = this.#begin(offer.ID);
    await pc.setRemoteDescription({ type: 'offer', sdp });
    await pc.setLocalDescription(await pc.createAnswer());
    await gathered(pc);
    const descriptor = sealAnswer(this.keys, secret, pc.localDescription?.sdp ?? '');
    await this.#say(offer.ID, { name: 'wired', session: event.session, descriptor });
  }

  /** `transport new`. */
  async dial(peer: string): Promise<void> {
    const pc = this.#begin(peer);
    pc.createDataChannel('_IGNORE_');
    await pc.setLocalDescription(await pc.createOffer());
    await gathered(pc);
    const { descriptor, secret } = sealOffer(this.keys, peer, pc.localDescription?.sdp ?? '');
    const session = this.#session++;
    const answer = new Promise<MeepoEvent>((resolve) => this.#waiting.set(session, resolve));
    await this.#say(peer, { name: 'wire', session, descriptor });
    const { descriptor: got, error } = await answer;
    if (!got) throw new Error(error);
    const connected = new Promise<void>((resolve) => {
      pc.connectionStateChange.subscribe((state) => state === 'connected' && resolve());
    });
    await pc.setRemoteDescription({ type: 'answer', sdp: openAnswer(peer, secret, got) });
    await connected;
  }

  #begin(peer: string): RTCPeerConnection {
    const pc = new RTCPeerConnection(ICE);
    this.#pc = pc;
    this.#peer = peer;
    pc.onDataChannel.subscribe((channel) => {
      if (channel.label === 'sys') this.#bind(channel);
      const socket = this.dialled.get(channel.label);
      if (socket) splice(socket, channel);
    });
    return pc;
  }

  #bind(channel: RTCDataChannel): void {
    this.#sys = channel;
    channel.onMessage.subscribe((message) => void this.#packet(Buffer.from(message as Buffer)));
  }

  async #packet(bytes: Buffer): Promise<void> {
    const { header, data, error } = decodePacket(bytes);
    if (header.type === 'response') {
      this.#answers.get(header.session)?.({ body: decodeBody(data), ...(error !== undefined && { error }) });
      return;
    }
    this.requests.push(header.method);
    const outcome = await this.#run(header.method, decodeBody(data)).then(
      (body) => ({ data: body }),
      (cause: Error) => ({ data: Buffer.alloc(0), error: cause.message }),
    );
    const back = { ...header, type: 'response', source: this.id, destination: header.source } as const;
    this.#sys?.send(encodePacket(signPacket(this.keys, { header: back, ...outcome })));
  }

  async #run(method: string, body: ReturnType<typeof decodeBody>): Promise<Buffer> {
    const text = (name: string) => bodyField(body, name);
    if (method === 'ping') return encodeBody({ Payload: text('Payload') });
    if (method === 'closeTransport') return Buffer.alloc(0);
    if (method === 'closeTeleportation') {
      if (!this.#sinks.delete(text('Name'))) throw new Error('teleportation not exists');
      return encodeBody({});
    }
    if (method === 'newTeleportation') {
      const hashed = Buffer.from(text('HashedSecret'), 'base64').toString();
      if (this.#secret && hashed === '') throw new Error('unauthorized: require secret');
      if (this.#secret && !(await bcrypt.compare(this.#secret, hashed)))
        throw new Error('unauthorized: incorrect password');
      this.#sinks.set(text('Name'), text('RemoteAddress'));
      return encodeBody({});
    }
    const [host = '', port = ''] = (this.#sinks.get(text('Name')) ?? '').split(':');
    if (method !== 'doTeleport' || port === '') throw new Error('teleportation not exists');
    const socket = connect(Number(port), host);
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    this.dialled.set(text('Label'), socket);
    return encodeBody({});
  }

  /** Any control request, signed; `as` changes what a hostile one would. */
  async request(
    method: string,
    fields: Readonly<Record<string, string>>,
  ): Promise<ReturnType<typeof decodeBody>> {
    if (!this.#sys && this.#pc) {
      const channel = this.#pc.createDataChannel('sys', { ordered: true });
      this.#bind(channel);
      await opened(channel);
    }
    const session = this.#session++;
    const header = { type: 'request', method, session, source: this.id, destination: this.#peer } as const;
    const answer = new Promise<{ error?: string; body: ReturnType<typeof decodeBody> }>((resolve) =>
      this.#answers.set(session, resolve),
    );
    const data = Object.keys(fields).length > 0 ? encodeBody(fields) : Buffer.alloc(0);
    this.#sys?.send(encodePacket(signPacket(this.keys, { header, data })));
    const { error, body } = await answer;
    if (error !== undefined) throw new Error(error);
    return body;
  }

  /** `teleport`: the local address of a listener. */
  async teleport(name: string, remote: string, secret?: string): Promise<{ at: string; close: () => void }> {
    const hashed = secret === undefined ? '' : Buffer.from(await bcrypt.hash(secret, 10)).toString('base64');
    const local = { LocalNetwork: 'tcp', LocalAddress: '127.0.0.1:8082' };
    await this.request('newTeleportation', {
      Name: name,
      ...local,
      RemoteNetwork: 'tcp',
      RemoteAddress: remote,
      HashedSecret: hashed,
    });
    let count = 0;
    const server = createServer(async (socket) => {
      const label = `${name}:${++count}`;
      socket.pause();
      await this.request('doTeleport', { Name: name, Label: label }).catch(() => socket.destroy());
      if (socket.destroyed || !this.#pc) return;
      const channel = this.#pc.createDataChannel(label, { ordered: true });
      await opened(channel);
      splice(socket, channel);
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
    for (const socket of this.dialled.values()) socket.destroy();
    await this.#pc?.close();
    for (const client of this.#clients) client.destroy();
  }
}
