import bcrypt from 'bcryptjs';
import { createClient } from 'redis';
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
import { type MeepoPeer, WeriftPeer } from './werift-peer.js';

const client = (url: string) => createClient({ url });

/**
 * What the real Meepo 0.7.1 does, as far as its wire shows it (shared spec): one peer, no attribute of awl, secrets as
 * bcrypt, a sys channel made by whoever asks first, `transport exists` while it has one.
 */
export class MeepoModel {
  readonly keys = meepoKeys();
  readonly requests: string[] = [];
  readonly #sinks = new Map<string, string>();
  readonly #waiting = new Map<number, (event: MeepoEvent) => void>();
  readonly #answers = new Map<
    number,
    (result: { error?: string; body: ReturnType<typeof decodeBody> }) => void
  >();
  readonly #url: string;
  readonly #secret: string | undefined;
  readonly #makePeer: () => MeepoPeer;
  #clients: ReturnType<typeof client>[] = [];
  #peer: MeepoPeer | undefined;
  #peerId = '';
  #session = 1000;

  /** @param makePeer one transport's WebRTC; werift's without it */
  constructor(url: string, secret?: string, makePeer: () => MeepoPeer = () => new WeriftPeer()) {
    this.#url = url;
    this.#secret = secret;
    this.#makePeer = makePeer;
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
    if (this.#peer) {
      await this.#say(offer.ID, { name: 'error', session: event.session, error: 'transport exists' });
      return;
    }
    const { sdp, secret } = openOffer(this.keys, offer);
    const descriptor = sealAnswer(this.keys, secret, await this.#begin(offer.ID).answer(sdp));
    await this.#say(offer.ID, { name: 'wired', session: event.session, descriptor });
  }

  /** `transport new`. */
  async dial(peer: string): Promise<void> {
    const own = this.#begin(peer);
    const { descriptor, secret } = sealOffer(this.keys, peer, await own.offer());
    const session = this.#session++;
    const answer = new Promise<MeepoEvent>((resolve) => this.#waiting.set(session, resolve));
    await this.#say(peer, { name: 'wire', session, descriptor });
    const { descriptor: got, error } = await answer;
    if (!got) throw new Error(error);
    await own.answered(openAnswer(peer, secret, got));
  }

  #begin(id: string): MeepoPeer {
    const peer = this.#makePeer();
    this.#peer = peer;
    this.#peerId = id;
    peer.onSys = (bytes) => void this.#packet(bytes);
    return peer;
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
    await this.#peer?.sendSys(encodePacket(signPacket(this.keys, { header: back, ...outcome })));
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
    const sink = this.#sinks.get(text('Name'));
    if (method !== 'doTeleport' || sink === undefined) throw new Error('teleportation not exists');
    await this.#peer?.dial(text('Label'), sink);
    return encodeBody({});
  }

  /** Any control request, signed; `as` changes what a hostile one would. */
  async request(
    method: string,
    fields: Readonly<Record<string, string>>,
  ): Promise<ReturnType<typeof decodeBody>> {
    const session = this.#session++;
    const header = { type: 'request', method, session, source: this.id, destination: this.#peerId } as const;
    const answer = new Promise<{ error?: string; body: ReturnType<typeof decodeBody> }>((resolve) =>
      this.#answers.set(session, resolve),
    );
    const data = Object.keys(fields).length > 0 ? encodeBody(fields) : Buffer.alloc(0);
    await this.#peer?.sendSys(encodePacket(signPacket(this.keys, { header, data })));
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
    if (!this.#peer) throw new Error('transport not exists');
    let count = 0;
    return this.#peer.listen(async () => {
      const label = `${name}:${++count}`;
      await this.request('doTeleport', { Name: name, Label: label });
      return label;
    });
  }

  async close(): Promise<void> {
    await this.#peer?.close();
    for (const client of this.#clients) client.destroy();
  }
}
