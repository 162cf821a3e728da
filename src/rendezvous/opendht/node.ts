import { randomBytes } from 'node:crypto';
import {
  OPENDHT_ATTEMPTS_MS,
  OPENDHT_DATAGRAM_MAX_BYTES,
  OPENDHT_LAST_WAIT_MS,
  OPENDHT_STRANGER_ATTEMPTS_MS,
} from '../../constants.js';
import { AwlError, errorText, isAwlError } from '../../errors.js';
import type { Logger } from '../../log.js';
import { type Endpoint, formatEndpoint, sameEndpoint } from '../../util/endpoint.js';
import { addressToBytes } from '../../util/ip-bytes.js';
import { UdpSocket } from '../../util/udp.js';
import type { Msgpack } from '../../wire/msgpack.js';
import {
  decodeRpc,
  encodeQuery,
  encodeReply,
  type RpcBody,
  type RpcMessage,
} from '../../wire/opendht-rpc.js';
import { type Assembled, Assembler, assemblyKey } from './assembly.js';
import { RoutingTable } from './routing.js';
import { SilenceBudget } from './silence.js';
import { UpdateInbox } from './updates.js';

export interface DhtNodeOptions {
  readonly family: 4 | 6;
  /** 0: any. */
  readonly port: number;
  readonly network: number;
  readonly id: Buffer;
  readonly log: Logger;
}

export interface AskOptions {
  /** Packed values of a `put`. */
  readonly values?: readonly Uint8Array[];
  /** When the datagrams go out, from now. */
  readonly attemptsMs?: readonly number[];
  /** The user named this node: the budget for strangers does not count. */
  readonly trusted?: boolean;
  readonly signal?: AbortSignal;
}

/** What became of a query. */
export type Answer =
  | { readonly type: 'reply'; readonly body: RpcBody; readonly values: readonly Buffer[] }
  | { readonly type: 'error'; readonly code: number; readonly text: string }
  | { readonly type: 'silence' };

interface Pending {
  readonly to: Endpoint;
  readonly settle: (answer: Answer) => void;
  /** Values that have come so far, where they come in fragments. */
  body?: RpcBody;
  readonly values: Buffer[];
}

const SILENCE: Answer = { type: 'silence' };

/**
 * A leaf of an OpenDHT network on one UDP socket of one address family: asks, and takes updates of those it listens
 * at. It stores and routes nothing, and hears nobody whom it has not spoken to first.
 */
export class DhtNode {
  readonly family: 4 | 6;
  readonly table = new RoutingTable();
  readonly updates = new UpdateInbox((tid, bytes, to) => this.#confirm(tid, bytes, to));
  readonly id: Buffer;
  /** Datagrams, for status and tests. */
  readonly counts = { sent: 0, received: 0, ignored: 0 };
  readonly #socket: UdpSocket;
  readonly #network: number;
  readonly #log: Logger;
  readonly #pending = new Map<number, Pending>();
  readonly #budget = new SilenceBudget();
  readonly #assembler = new Assembler();
  #tid = randomBytes(4).readUInt32BE();

  private constructor(socket: UdpSocket, options: DhtNodeOptions) {
    this.#socket = socket;
    this.family = options.family;
    this.id = options.id;
    this.#network = options.network;
    this.#log = options.log;
    socket.subscribe((data, from) => this.#receive(data, from));
  }

  /** @throws AwlError UDP_BIND */
  static async open(options: DhtNodeOptions): Promise<DhtNode> {
    const { family, port } = options;
    const address = family === 6 ? '::' : '0.0.0.0';
    try {
      return new DhtNode(await UdpSocket.bind({ address, port }, { ipv6Only: family === 6 }), options);
    } catch (cause) {
      throw new AwlError('UDP_BIND', `the DHT node cannot have UDP port ${port}: ${errorText(cause)}`, {
        hint: 'another program (perhaps another awl or plexus) has it; choose one with --dht-port, 0 for any',
        cause,
      });
    }
  }

  get localPort(): number {
    return this.#socket.local.port;
  }

  /** Asks one node; never rejects. What is wrong, late or from somebody else counts as silence. */
  ask(
    to: Endpoint,
    query: string,
    args: { readonly [key: string]: Msgpack | undefined },
    options: AskOptions = {},
  ): Promise<Answer> {
    const { signal, values } = options;
    if (signal?.aborted || this.#socket.closed) return Promise.resolve(SILENCE);
    const attempts =
      options.attemptsMs ?? (this.table.has(to) ? OPENDHT_ATTEMPTS_MS : OPENDHT_STRANGER_ATTEMPTS_MS);
    const tid = this.#newTid();
    const datagrams = encodeQuery({ tid, network: this.#network }, query, { id: this.id, ...args }, values);
    return new Promise((resolve) => {
      const timers = attempts.map((ms) =>
        setTimeout(() => this.#sendAll(datagrams, to, options.trusted), ms),
      );
      const settle = (answer: Answer) => {
        if (!this.#pending.delete(tid)) return;
        for (const timer of timers) clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.#assembler.drop(assemblyKey(to, tid));
        resolve(answer);
      };
      const onAbort = () => settle(SILENCE);
      const onSilence = () => {
        const { body, values: some } = pending;
        // Part of what it holds is better than nothing: the rest may be somebody's flood.
        if (!body) this.table.silent(to);
        settle(body ? { type: 'reply', body, values: some } : SILENCE);
      };
      timers.push(setTimeout(onSilence, (attempts.at(-1) ?? 0) + OPENDHT_LAST_WAIT_MS));
      const pending: Pending = { to, settle, values: [] };
      this.#pending.set(tid, pending);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  async close(): Promise<void> {
    for (const { settle } of [...this.#pending.values()]) settle(SILENCE);
    await this.#socket.close();
  }

  #newTid(): number {
    do this.#tid = (this.#tid + 1) >>> 0;
    while (this.#pending.has(this.#tid));
    return this.#tid;
  }

  /** Resolves to false if the kernel does not even take the message. */
  async #sendAll(datagrams: readonly Buffer[], to: Endpoint, trusted = false): Promise<boolean> {
    const sending = datagrams.flatMap((datagram) =>
      trusted || this.#budget.spend(to.address, performance.now()) ? [this.#send(datagram, to)] : [],
    );
    return (await Promise.all(sending)).every((sent) => sent);
  }

  #send(datagram: Buffer, to: Endpoint): Promise<boolean> {
    this.counts.sent++;
    return this.#socket.send(datagram, to);
  }

  #receive(data: Buffer, from: Endpoint): void {
    this.counts.received++;
    // Before anything is decoded: strangers cost us this look-up.
    const known = this.table.has(from) || this.#isAsked(from);
    if (!known || data.length > OPENDHT_DATAGRAM_MAX_BYTES) {
      this.#ignore('a stranger, or too large', from);
      return;
    }
    try {
      const message = decodeRpc(data);
      if (message.network !== this.#network) this.#ignore('another network', from);
      else if (message.type === 'query') this.updates.query(message, data.length, from);
      else if (message.type === 'part') this.#onPart(message, from);
      else this.#onAnswer(message, from);
    } catch (error) {
      if (!isAwlError(error)) throw error;
      this.#ignore(error.message, from);
    }
  }

  #isAsked(from: Endpoint): boolean {
    for (const { to } of this.#pending.values()) if (sameEndpoint(to, from)) return true;
    return false;
  }

  #ignore(why: string, from: Endpoint): void {
    this.counts.ignored++;
    this.#log.trace(`OpenDHT datagram of ${formatEndpoint(from)} ignored: ${why}`);
  }

  #onAnswer(message: Extract<RpcMessage, { type: 'reply' | 'error' }>, from: Endpoint): void {
    const pending = this.#pending.get(message.tid);
    if (!pending || !sameEndpoint(pending.to, from)) {
      this.#ignore('an answer to nothing that was asked there', from);
      return;
    }
    this.#budget.answered(from.address);
    if (message.type === 'error') {
      pending.settle({ type: 'error', code: message.code, text: message.text });
      return;
    }
    const { body } = message;
    // Upstream ignores messages with its own id; somebody who sends ours is a mirror or a liar.
    if (body.id.equals(this.id)) {
      this.#ignore('our own node id', from);
      return;
    }
    this.table.answered(body.id, from);
    const { values } = body;
    if (values && 'sizes' in values) {
      pending.body = body;
      const key = assemblyKey(from, message.tid);
      this.#collect(pending, this.#assembler.announce(key, values.sizes, performance.now()));
      return;
    }
    pending.settle({ type: 'reply', body, values: values?.inline ?? [] });
  }

  #collect(pending: Pending, { values, done }: Assembled): void {
    pending.values.push(...values);
    if (done && pending.body) pending.settle({ type: 'reply', body: pending.body, values: pending.values });
  }

  #onPart({ tid, fragments }: Extract<RpcMessage, { type: 'part' }>, from: Endpoint): void {
    const pending = this.#pending.get(tid);
    if (!pending || !sameEndpoint(pending.to, from)) this.updates.part(tid, fragments, from);
    else this.#collect(pending, this.#assembler.add(assemblyKey(from, tid), fragments, performance.now()));
  }

  /** A bare reply, never larger than what it answers. */
  #confirm(tid: number, requestBytes: number, to: Endpoint): void {
    const on = { tid, network: this.#network };
    const replies = [encodeReply(on, this.id, addressToBytes(to.address)), encodeReply(on, this.id)];
    const reply = replies.find(({ length }) => length <= requestBytes);
    if (reply) void this.#send(reply, to);
  }
}
