import { randomInt } from 'node:crypto';
import { AwlError, errorText } from '../errors.js';
import type { MeepoKeys } from '../wire/meepo/keys.js';
import {
  decodeBody,
  decodePacket,
  encodePacket,
  type Packet,
  type PacketType,
  signPacketBy,
  verifyPacket,
} from '../wire/meepo/packet.js';
import type { Unpacked } from '../wire/msgpack.js';
import { REQUEST_MS, REQUESTS_MAX, REQUESTS_QUEUED, SESSIONS_SEEN } from './limits.js';
import { Seen } from './seen.js';

export type Body = ReadonlyMap<Unpacked, Unpacked>;

/** A control request of the peer; yields the body of the response, an error's text goes back instead. */
export type Handler = (body: Body) => Promise<Buffer>;

export interface ConversationOptions {
  readonly keys: MeepoKeys;
  readonly peer: string;
  readonly send: (bytes: Buffer) => Promise<void>;
  readonly handlers: Readonly<Record<string, Handler>>;
  /** Selfmesh: a packet to pass on; yields the data of the answer, undefined to stay silent. */
  readonly broadcast?: (packet: Packet) => Promise<Buffer | undefined>;
  readonly onStray?: (why: string) => void;
}

interface Waiting {
  readonly type: PacketType;
  readonly resolve: (packet: Packet) => void;
  readonly reject: (error: Error) => void;
}

/** 31-bit random number, as Meepo's sessions are. */
export function newSession(): number {
  return randomInt(1, 0x7fff_ffff);
}

/**
 * Control requests and responses with one peer over its `sys` channel. Unlike the real one it takes only what this
 * very peer signed, for us, once.
 */
export class Conversation {
  readonly #options: ConversationOptions;
  readonly #waiting = new Map<number, Waiting>();
  readonly #seen = new Seen(SESSIONS_SEEN);
  readonly #queue: Packet[] = [];
  #working = 0;
  #over = false;
  /** Messages that were none, not for us, not from the peer, or not new. */
  strays = 0;

  constructor(options: ConversationOptions) {
    this.#options = options;
  }

  /**
   * Asks the peer and yields the body of its response.
   * @throws AwlError MEEPO_REFUSED with the peer's words, MEEPO_UNAVAILABLE without an answer
   */
  async request(method: string, data: Buffer, signal?: AbortSignal): Promise<Body> {
    const { error, data: answer } = await this.ask('request', method, data, signal);
    if (error === undefined) return decodeBody(answer);
    throw new AwlError('MEEPO_REFUSED', error.slice(0, 300) || 'the peer refuses without a reason');
  }

  /** The signed response itself. @throws AwlError MEEPO_UNAVAILABLE */
  async ask(
    type: 'request' | 'broadcastRequest',
    method: string,
    data: Buffer,
    signal?: AbortSignal,
  ): Promise<Packet> {
    const { keys, peer } = this.#options;
    const session = newSession();
    const header = { type, method, session, source: keys.id, destination: peer };
    const bytes = encodePacket(await signPacketBy(keys, { header, data }));
    const expected = type === 'request' ? 'response' : 'broadcastResponse';
    if (this.#over) throw gone();
    const answer = new Promise<Packet>((resolve, reject) => {
      this.#waiting.set(session, { type: expected, resolve, reject });
    });
    const timer = setTimeout(() => this.#fail(session, unanswered(method)), REQUEST_MS);
    const onAbort = () => this.#fail(session, signal?.reason as Error);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      if (signal?.aborted) onAbort();
      this.#options.send(bytes).catch((error: unknown) => this.#fail(session, gone(error)));
      return await answer;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      this.#waiting.delete(session);
    }
  }

  /** One message of the sys channel. Never throws. */
  receive(bytes: Buffer): void {
    if (this.#over) return;
    let packet: Packet;
    try {
      packet = decodePacket(bytes);
    } catch (error) {
      this.#stray(errorText(error));
      return;
    }
    const why = this.#whyStray(packet);
    if (why !== undefined) this.#stray(why);
    else if (packet.header.type.endsWith('esponse'))
      this.#waiting.get(packet.header.session)?.resolve(packet);
    else void this.#work(packet);
  }

  close(): void {
    this.#over = true;
    this.#queue.length = 0;
    for (const session of [...this.#waiting.keys()]) this.#fail(session, gone());
  }

  #whyStray(packet: Packet): string | undefined {
    const { source, destination, type, session } = packet.header;
    if (source !== this.#options.peer) return 'it names another sender';
    if (destination !== this.#options.keys.id) return 'it is for somebody else';
    if (!verifyPacket(packet)) return 'its signature is wrong';
    if (type === 'response' || type === 'broadcastResponse') {
      return this.#waiting.get(session)?.type === type ? undefined : 'it answers nothing';
    }
    if (!this.#seen.add(`${type}.${session}`)) return 'it came before';
    return this.#queue.length >= REQUESTS_QUEUED ? 'too many requests at once' : undefined;
  }

  async #work(packet: Packet): Promise<void> {
    if (this.#working >= REQUESTS_MAX) {
      this.#queue.push(packet);
      return;
    }
    this.#working += 1;
    for (let next: Packet | undefined = packet; next; next = this.#queue.shift()) await this.#answer(next);
    this.#working -= 1;
  }

  async #answer(packet: Packet): Promise<void> {
    const { type, method } = packet.header;
    if (type === 'broadcastRequest') {
      const data = await this.#options.broadcast?.(packet).catch(() => undefined);
      if (data) await this.#respond(packet, 'broadcastResponse', { data });
      return;
    }
    try {
      const handlers = this.#options.handlers;
      const handler = Object.hasOwn(handlers, method) ? handlers[method] : undefined;
      if (!handler) throw new AwlError('MEEPO_REFUSED', 'unsupported method');
      await this.#respond(packet, 'response', { data: await handler(decodeBody(packet.data)) });
    } catch (error) {
      const text = errorText(error).slice(0, 300);
      await this.#respond(packet, 'response', { data: Buffer.alloc(0), error: text });
    }
  }

  async #respond(
    { header }: Packet,
    type: PacketType,
    content: { readonly data: Buffer; readonly error?: string },
  ): Promise<void> {
    const { keys, peer, send } = this.#options;
    const { method, session } = header;
    const unsigned = {
      header: { type, method, session, source: keys.id, destination: peer },
      ...content,
    };
    try {
      await send(encodePacket(await signPacketBy(keys, unsigned)));
    } catch {
      // The path is gone, or who holds the key does not sign: the peer stops waiting by itself.
    }
  }

  #fail(session: number, error: Error): void {
    this.#waiting.get(session)?.reject(error);
  }

  #stray(why: string): void {
    this.strays += 1;
    this.#options.onStray?.(why);
  }
}

function unanswered(method: string): AwlError {
  return new AwlError('MEEPO_UNAVAILABLE', `wait response timeout: ${method}`, {
    hint: 'the peer or its network is gone; close the transport and open it again',
  });
}

function gone(cause?: unknown): AwlError {
  return new AwlError('MEEPO_UNAVAILABLE', 'transport closed', { ...(cause !== undefined && { cause }) });
}
