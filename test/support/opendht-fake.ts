import { randomBytes } from 'node:crypto';
import { Assembler, assemblyKey } from '../../src/rendezvous/opendht/assembly.js';
import type { Endpoint } from '../../src/util/endpoint.js';
import { addressToBytes } from '../../src/util/ip-bytes.js';
import { UdpSocket } from '../../src/util/udp.js';
import { encodeMsgpack, type Msgpack, Packed } from '../../src/wire/msgpack.js';
import { decodeRpc, encodeQuery, type Fragment, type RpcMessage } from '../../src/wire/opendht-rpc.js';

export type Query = Extract<RpcMessage, { type: 'query' }>;
/** What a fake node does with a query: the fields of its reply, or nothing. May send whatever else it likes. */
export type Behaviour = (
  query: Query,
  from: Endpoint,
  node: FakeDhtNode,
) => Record<string, Msgpack> | undefined;

/** A node in this process that may lie, flood and die; honest unless told otherwise: it stores and notifies. */
export class FakeDhtNode {
  readonly id: Buffer;
  readonly queries: { readonly query: Query; readonly from: Endpoint }[] = [];
  /** Packed values by key. */
  readonly stored = new Map<string, Buffer[]>();
  readonly listeners: { readonly hash: Buffer; readonly sid: number; readonly from: Endpoint }[] = [];
  behaviour: Behaviour | undefined;
  readonly token = randomBytes(32);
  readonly #socket: UdpSocket;
  readonly #assembler = new Assembler();
  /** Keys of puts whose values are still coming. */
  readonly #puts = new Map<string, Buffer>();
  readonly #repeating = new Map<number, NodeJS.Timeout>();
  #tid = 1;

  private constructor(socket: UdpSocket, id: Buffer) {
    this.#socket = socket;
    this.id = id;
    socket.subscribe((data, from) => this.#receive(data, from));
  }

  static async start(id: Buffer = randomBytes(20), port = 0): Promise<FakeDhtNode> {
    return new FakeDhtNode(await UdpSocket.bind({ address: '127.0.0.1', port }), id);
  }

  get endpoint(): Endpoint {
    return this.#socket.local;
  }

  get hostPort() {
    return { host: this.endpoint.address, port: this.endpoint.port };
  }

  count(query: string): number {
    return this.queries.filter((each) => each.query.query === query).length;
  }

  /** One datagram, whatever it holds. */
  raw(bytes: Uint8Array, to: Endpoint): void {
    void this.#socket.send(bytes, to);
  }

  /** An update with values, to all who listen here for the key; repeated until it is confirmed, as nodes do. */
  notify(hash: Buffer, values: readonly Uint8Array[], more: Record<string, Msgpack> = {}): void {
    for (const { sid, from, hash: wanted } of this.listeners) {
      if (!wanted.equals(hash)) continue;
      const on = { tid: this.#tid++, network: 0 };
      const args = { id: this.id, h: hash, sid, ve: 1, token: this.token, ...more };
      const datagrams = encodeQuery(on, 'update', args, values);
      const send = () => {
        for (const datagram of datagrams) this.raw(datagram, from);
      };
      send();
      let left = 5;
      const timer = setInterval(() => {
        if (left-- === 0) this.#confirmed(on.tid);
        else send();
      }, 200);
      this.#repeating.set(on.tid, timer);
    }
  }

  #confirmed(tid: number): void {
    clearInterval(this.#repeating.get(tid));
    this.#repeating.delete(tid);
  }

  reply(tid: number, body: Record<string, Msgpack>, to: Endpoint): void {
    this.raw(encodeMsgpack({ t: tid, y: 'r', v: 'RNG1', r: { id: this.id, ...body } }), to);
  }

  fail(tid: number, code: number, to: Endpoint): void {
    this.raw(encodeMsgpack({ t: tid, y: 'e', v: 'RNG1', e: [code, 'no'], r: { id: this.id } }), to);
  }

  close(): Promise<void> {
    for (const timer of this.#repeating.values()) clearInterval(timer);
    return this.#socket.close();
  }

  #receive(data: Buffer, from: Endpoint): void {
    const message = decodeRpc(data);
    if (message.type === 'reply') this.#confirmed(message.tid);
    if (message.type === 'part') this.#onPart(message.tid, message.fragments, from);
    if (message.type !== 'query') return;
    this.queries.push({ query: message, from });
    const body = this.behaviour ? this.behaviour(message, from, this) : this.honest(message, from);
    if (body) this.reply(message.tid, body, from);
  }

  /** Keeps values, once each, and tells the listeners. */
  store(hash: Buffer, values: readonly Buffer[]): void {
    const key = hash.toString('hex');
    const held = this.stored.get(key) ?? [];
    const fresh = values.filter((value) => !held.some((each) => each.equals(value)));
    this.stored.set(key, [...held, ...fresh]);
    if (fresh.length > 0) setImmediate(() => this.notify(hash, fresh));
  }

  #onPart(tid: number, fragments: readonly Fragment[], from: Endpoint): void {
    const key = assemblyKey(from, tid);
    const hash = this.#puts.get(key);
    const { values } = this.#assembler.add(key, fragments, performance.now());
    if (hash && values.length > 0) this.store(hash, values);
  }

  /** Sizes of the values of a key; the values themselves follow. */
  #sized(hash: Buffer, tid: number, to: Endpoint): number[] {
    const held = this.stored.get(hash.toString('hex')) ?? [];
    const datagrams = encodeQuery({ tid, network: 0 }, 'get', {}, [...held, Buffer.alloc(600)]);
    setImmediate(() => {
      for (const datagram of datagrams.slice(1)) this.raw(datagram, to);
    });
    return held.map(({ length }) => length);
  }

  /** What an honest node does. */
  honest({ query, body, tid }: Query, from: Endpoint): Record<string, Msgpack> {
    const sa = addressToBytes(from.address);
    const { hash } = body;
    if (query === 'put' && hash && body.values && 'inline' in body.values)
      this.store(hash, body.values.inline);
    if (query === 'put' && hash && body.values && 'sizes' in body.values) {
      const key = assemblyKey(from, tid);
      this.#puts.set(key, hash);
      const { values } = this.#assembler.announce(key, body.values.sizes, performance.now());
      if (values.length > 0) this.store(hash, values);
    }
    if (query === 'get' && hash) return { sa, token: this.token, values: this.#sized(hash, tid, from) };
    if (query === 'listen' && hash && body.socketId !== undefined) {
      const known = this.listeners.some(
        ({ sid, from: at }) => sid === body.socketId && at.port === from.port,
      );
      if (!known) this.listeners.push({ hash, sid: body.socketId, from });
      const held = this.stored.get(hash.toString('hex')) ?? [];
      if (!known && held.length > 0) setImmediate(() => this.notify(hash, held));
    }
    return { sa, token: this.token };
  }
}

/** The compact form of nodes in a reply. */
export function nodeList(nodes: readonly { readonly id: Uint8Array; readonly endpoint: Endpoint }[]): Buffer {
  return Buffer.concat(
    nodes.map(({ id, endpoint }) => {
      const port = Buffer.alloc(2);
      port.writeUInt16BE(endpoint.port);
      return Buffer.concat([id, addressToBytes(endpoint.address), port]);
    }),
  );
}

/** A packed value. */
export function packed(id: bigint | number, dat: Uint8Array): Buffer {
  return encodeMsgpack({ id, dat: new Packed(dat) });
}
