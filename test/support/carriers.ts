import { randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { ByteStream, Carrier } from '../../src/tunnel/carrier.js';
import { greet } from '../../src/tunnel/greeting.js';
import { NOBODY } from '../../src/tunnel/mux.js';
import { Tunnel, type TunnelOptions } from '../../src/tunnel/tunnel.js';
import { deriveTunnelKeys } from '../../src/wire/tunnel-keys.js';

/** One end of a stream in memory: bytes move when the event loop turns, in pieces of `piece` bytes. */
class MemoryStream extends EventEmitter implements ByteStream {
  other: MemoryStream | undefined;
  readonly #piece: () => number;
  #queue: Uint8Array[] = [];
  #queued = 0;
  #full = false;
  #ended = false;
  #running = false;
  dead = false;

  constructor(piece: () => number) {
    super();
    this.#piece = piece;
  }

  write(data: Uint8Array): boolean {
    if (this.dead || this.#ended) return false;
    this.#queue.push(data);
    this.#queued += data.length;
    this.#run();
    this.#full = this.#queued > 200_000;
    return !this.#full;
  }

  end(): void {
    this.#ended = true;
    this.#run();
  }

  destroy(): void {
    if (this.dead) return;
    this.dead = true;
    this.#queue = [];
    setImmediate(() => this.emit('close'));
  }

  #run(): void {
    if (this.#running) return;
    this.#running = true;
    setImmediate(() => {
      this.#running = false;
      this.#move();
    });
  }

  #move(): void {
    if (this.dead) return;
    const next = this.#queue.shift();
    if (next) {
      const size = this.#piece();
      if (size < next.length) this.#queue.unshift(next.subarray(size));
      const moved = next.subarray(0, size);
      this.#queued -= moved.length;
      if (this.other && !this.other.dead) this.other.emit('data', moved);
      if (this.#full && this.#queued < 100_000) {
        this.#full = false;
        this.emit('drain');
      }
      this.#run();
    } else if (this.#ended) {
      this.other?.emit('end');
      this.destroy();
    }
  }
}

/** Both ends of a carrier in memory. */
export interface CarrierPair {
  readonly invite: Carrier;
  readonly accept: Carrier;
  /** Carriers of this pair that were closed. */
  readonly closed: Set<string>;
  /** Everything under way is lost; both ends see an error, as when a path breaks. */
  cut(): void;
}

export function carrierPair(o: { secure?: boolean; piece?: () => number } = {}): CarrierPair {
  const key = randomBytes(32);
  const piece = o.piece ?? (() => 70_000);
  const [a, b] = [new MemoryStream(piece), new MemoryStream(piece)];
  a.other = b;
  b.other = a;
  const closed = new Set<string>();
  const carrier = (role: 'invite' | 'accept', stream: MemoryStream): Carrier => ({
    kind: 'memory',
    stream,
    keys: deriveTunnelKeys(key, role),
    ...(o.secure && { secure: true }),
    close: async () => void closed.add(role),
  });
  return {
    invite: carrier('invite', a),
    accept: carrier('accept', b),
    closed,
    cut: () => {
      for (const stream of [a, b]) {
        if (stream.dead) continue;
        stream.emit('error', new Error('cut'));
        stream.destroy();
      }
    },
  };
}

/** Two tunnels of one process over a carrier in memory, which `move` replaces. */
export interface MemoryTunnels {
  readonly invite: Tunnel;
  readonly accept: Tunnel;
  /** Attaches another carrier on both sides. */
  move(pair: CarrierPair): Promise<void>;
}

export async function memoryTunnels(
  pair: CarrierPair,
  more: Partial<Record<'invite' | 'accept', Partial<TunnelOptions>>> = {},
): Promise<MemoryTunnels> {
  const log = { debug() {}, info() {}, warning() {}, error() {}, trace() {} } as never;
  const greetBoth = (p: CarrierPair, resume?: Buffer) =>
    Promise.all([
      greet({ carrier: p.invite, hello: { exports: [], ...(resume && { resume }) } }),
      greet({ carrier: p.accept, hello: { exports: [] } }),
    ]);
  const [a, b] = await greetBoth(pair);
  const options = (role: 'invite' | 'accept'): TunnelOptions => ({
    role,
    onOpen: () => NOBODY,
    reconnectMs: 60_000,
    log,
    ...more[role],
  });
  const invite = new Tunnel(options('invite'), a);
  const accept = new Tunnel(options('accept'), b);
  return {
    invite,
    accept,
    move: async (next) => {
      const [x, y] = await greetBoth(next, invite.token);
      await Promise.all([invite.attach(x), accept.attach(y)]);
    },
  };
}
