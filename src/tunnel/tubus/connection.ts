import { randomFillSync, randomInt } from 'node:crypto';
import { AwlError } from '../../errors.js';
import type { Logger } from '../../log.js';
import { type Endpoint, formatEndpoint, sameEndpoint } from '../../util/endpoint.js';
import type { UdpSocket } from '../../util/udp.js';
import { decodeTubus, encodeTubus } from '../../wire/tubus.js';
import { TUBUS_LIMITS, type TubusLimits } from './limits.js';
import { TubusMachine } from './machine.js';
import type { TubusEnd, TubusRole, TubusStats } from './types.js';

export interface TubusOptions {
  /** Stays the caller's: it is not closed here. */
  readonly socket: UdpSocket;
  /** Datagrams from elsewhere are ignored. */
  readonly peer: Endpoint;
  readonly role: TubusRole;
  /** 0: datagrams travel clear. Either way tubus is neither encrypted nor authenticated. */
  readonly secret: bigint;
  readonly limits?: TubusLimits;
  readonly log: Logger;
  /** Gives up linking; later it changes nothing. */
  readonly signal?: AbortSignal;
}

const PIN_MAX = 0xffff;
const SALT_BYTES = 8;

/** A tubus connection on a real socket and clock: a reliable stream each way, one reader, any number of writers. */
export class TubusConnection {
  readonly #options: TubusOptions;
  readonly #machine: TubusMachine;
  readonly #pin = randomInt(1, PIN_MAX + 1);
  readonly #salts = Buffer.alloc(SALT_BYTES * 512);
  #saltAt = this.#salts.length;
  readonly #unsubscribe: () => void;
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Immediate | undefined;
  #waiting: (() => void)[] = [];
  #lastWrite: Promise<void> = Promise.resolve();
  /** Datagrams from elsewhere, or that are no tubus under this secret. */
  #ignored = 0;
  /** Resolves when the last datagram was sent; never rejects. */
  readonly ended: Promise<TubusEnd>;
  #onEnded: (end: TubusEnd) => void = () => {};

  private constructor(options: TubusOptions) {
    this.#options = options;
    this.#machine = new TubusMachine(options.role, options.limits ?? TUBUS_LIMITS, now());
    this.ended = new Promise((resolve) => {
      this.#onEnded = resolve;
    });
    this.#unsubscribe = options.socket.subscribe((data, from) => this.#receive(data, from));
    this.#pump();
  }

  /**
   * Links with the peer.
   * @throws AwlError HANDSHAKE_TIMEOUT when it does not answer in time; the signal's reason
   */
  static async open(options: TubusOptions): Promise<TubusConnection> {
    options.signal?.throwIfAborted();
    const connection = new TubusConnection(options);
    const abort = () => void connection.close(0);
    options.signal?.addEventListener('abort', abort, { once: true });
    try {
      await connection.#until(() => connection.#machine.linked || connection.#machine.end !== undefined);
    } finally {
      options.signal?.removeEventListener('abort', abort);
    }
    options.signal?.throwIfAborted();
    if (connection.#machine.linked) return connection;
    throw new AwlError('HANDSHAKE_TIMEOUT', `no tubus link with ${formatEndpoint(options.peer)} came about`, {
      hint: 'start the other side within 30 s, with the opposite purpose and the same secret',
    });
  }

  get end(): TubusEnd | undefined {
    return this.#machine.end;
  }

  get stats(): TubusStats & { readonly ignored: number } {
    return { ...this.#machine.stats, ignored: this.#ignored };
  }

  /**
   * Resolves when the connection has taken `data`, which must not change afterwards; in the order of the calls.
   * @throws AwlError TUNNEL_LOST after the end
   */
  write(data: Buffer): Promise<void> {
    const written = this.#lastWrite.then(() => this.#write(data));
    this.#lastWrite = written.catch(() => {});
    return written;
  }

  async #write(data: Buffer): Promise<void> {
    await this.#until(() => this.#machine.canWrite || this.#machine.end !== undefined);
    if (this.#machine.end !== undefined) throw new AwlError('TUNNEL_LOST', describeEnd(this.#machine.end));
    this.#machine.write(data);
    this.#pumpSoon();
  }

  /** What arrived, in order; undefined when nothing more will. Only what was read makes room for more. */
  async read(): Promise<Buffer[] | undefined> {
    await this.#until(() => this.#machine.readable > 0 || this.#machine.end !== undefined);
    const chunks = this.#machine.read();
    this.#pumpSoon();
    return chunks;
  }

  /** Sends what was written, for at most `flushMs`, then tells the peer. Idempotent; resolves to the end. */
  async close(flushMs: number): Promise<TubusEnd> {
    const limit = setTimeout(() => this.#closeNow(0), flushMs);
    void this.#lastWrite.then(() => this.#closeNow(flushMs));
    const end = await this.ended;
    clearTimeout(limit);
    return end;
  }

  #closeNow(flushMs: number): void {
    this.#machine.close(now(), flushMs);
    this.#pump();
  }

  async #until(ready: () => boolean): Promise<void> {
    while (!ready()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #receive(data: Buffer, from: Endpoint): void {
    const packet = sameEndpoint(from, this.#options.peer)
      ? decodeTubus(data, this.#options.secret)
      : undefined;
    if (!packet) {
      this.#ignored += 1;
      return;
    }
    this.#machine.receive(packet, now());
    this.#pumpSoon();
  }

  /** Everything that one turn of the event loop brings is answered together. */
  #pumpSoon(): void {
    this.#soon ??= setImmediate(() => this.#pump());
  }

  #pump(): void {
    if (this.#soon) clearImmediate(this.#soon);
    clearTimeout(this.#timer);
    this.#soon = undefined;
    const { socket, peer, secret } = this.#options;
    const machine = this.#machine;
    // A datagram that the kernel does not take is a lost one, which tubus repeats.
    for (const sections of machine.poll(now())) {
      void socket.send(encodeTubus({ pin: this.#pin, sections }, secret, this.#salt()), peer);
    }
    if (machine.done) {
      this.#unsubscribe();
      this.#onEnded(machine.end ?? 'closed');
    } else {
      this.#timer = setTimeout(() => this.#pump(), Math.max(1, Math.ceil(machine.wakeAt - now())));
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  #salt(): bigint {
    if (this.#saltAt >= this.#salts.length) {
      randomFillSync(this.#salts);
      this.#saltAt = 0;
    }
    this.#saltAt += SALT_BYTES;
    return this.#salts.readBigUInt64BE(this.#saltAt - SALT_BYTES);
  }
}

/** Milliseconds since 1970 that never go back: pings carry the clock (spec plexus h.1). */
function now(): number {
  return performance.timeOrigin + performance.now();
}

/** An end in words. */
export function describeEnd(end: TubusEnd): string {
  const words: Readonly<Record<TubusEnd, string>> = {
    closed: 'the tunnel was closed',
    unanswered: 'the tunnel was closed, but the other side did not answer',
    torn: 'the other side closed the tunnel',
    timeout: 'the other side did not answer',
    silent: 'nothing comes from the other side any more',
    broken: 'the other side no longer acknowledges data',
  };
  return words[end];
}
