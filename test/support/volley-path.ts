import { vi } from 'vitest';
import type { VolleyPort } from '../../src/tunnel/volley/stream.js';
import { VolleyStream } from '../../src/tunnel/volley/stream.js';
import { deriveTunnelKeys } from '../../src/wire/tunnel-keys.js';
import { framePacket, readPackets, SEGMENT_BYTES, SEGMENT_MAX_BYTES } from '../../src/wire/volley.js';

export interface PathOptions {
  /** One way. */
  readonly delayMs: number;
  /** Of the bottleneck, which has a queue before it; without it there is none. */
  readonly mbit?: number;
  readonly queueBytes?: number;
  /** Chance for each packet. */
  readonly loss?: number;
  readonly duplicate?: number;
  /** So many ms later at most, and therefore behind others. */
  readonly jitterMs?: number;
  /** Longer UDP payloads are lost; with it the streams find out how long they may be. */
  readonly mtu?: () => number;
  /** Changes, repeats or replaces what passes. */
  readonly meddle?: (packet: Buffer) => readonly Buffer[];
}

/** Two streams of volleys with a simulated path between them, on the fake clock of the test. */
export class VolleyPath {
  readonly a: VolleyStream;
  readonly b: VolleyStream;
  /** Packets that the path took, and those that it lost for its queue was full. */
  packets = 0;
  overflown = 0;
  #random = 1;

  constructor(options: PathOptions) {
    const key = Buffer.alloc(32, 7);
    const toB = new Lane(this, options, (packet) => deliver(this.b, packet));
    const toA = new Lane(this, options, (packet) => deliver(this.a, packet));
    this.a = new VolleyStream(toB, deriveTunnelKeys(key, 'invite'));
    this.b = new VolleyStream(toA, deriveTunnelKeys(key, 'accept'));
  }

  /** The same numbers in each run. */
  random(): number {
    this.#random = (Math.imul(this.#random, 1_103_515_245) + 12_345) >>> 0;
    return (this.#random >>> 8) / 2 ** 24;
  }
}

class Lane implements VolleyPort {
  readonly room = 4 * 1024 * 1024;
  readonly widest: number;
  readonly #path: VolleyPath;
  readonly #options: PathOptions;
  readonly #deliver: (packet: Buffer) => void;
  /** When the bottleneck has sent all that is in its queue. */
  #freeAt = 0;

  constructor(path: VolleyPath, options: PathOptions, deliver: (packet: Buffer) => void) {
    this.#path = path;
    this.#options = options;
    this.widest = options.mtu ? SEGMENT_MAX_BYTES : SEGMENT_BYTES;
    this.#deliver = deliver;
  }

  sendSegments(wire: Buffer, width: number): boolean {
    for (let at = 0; at < wire.length; at += width) {
      this.#send(Buffer.from(wire.subarray(at, at + width)));
    }
    return true;
  }

  sendReport(sealed: Buffer): void {
    this.#send(framePacket('report', sealed));
  }

  sendProbe(sealed: Buffer): void {
    this.#send(framePacket('probe', sealed));
  }

  #send(packet: Buffer): void {
    const { meddle, duplicate = 0, mtu } = this.#options;
    if (mtu && packet.length > mtu()) return;
    const packets = meddle ? meddle(packet) : [packet];
    for (const one of packets) {
      this.#pass(one);
      if (this.#path.random() < duplicate) this.#pass(Buffer.from(one));
    }
  }

  #pass(packet: Buffer): void {
    const { delayMs, mbit, queueBytes = Number.POSITIVE_INFINITY, loss = 0, jitterMs = 0 } = this.#options;
    const path = this.#path;
    path.packets += 1;
    if (path.random() < loss) return;
    const now = performance.now();
    const rate = mbit === undefined ? Number.POSITIVE_INFINITY : mbit * 125;
    const start = Math.max(now, this.#freeAt);
    if ((start - now) * rate > queueBytes) {
      path.overflown += 1;
      return;
    }
    this.#freeAt = start + (packet.length + 28) / rate;
    const at = this.#freeAt - now + delayMs + path.random() * jitterMs;
    setTimeout(() => this.#deliver(packet), at);
  }
}

function deliver(stream: VolleyStream, data: Buffer): void {
  readPackets(data, {
    segment: (segment) => stream.segment(segment),
    report: (body) => stream.report(body),
    datagram: () => {},
  });
  stream.settle();
}

/** Lets so much time of the fake clock pass. */
export function pass(ms: number): void {
  vi.advanceTimersByTime(ms);
}
