import { EventEmitter } from 'node:events';
import type { ByteStream, CarrierStats } from './carrier.js';
import { LaneDivider, LaneGatherer } from './lanes.js';
import type { UdxStream } from './udx.js';

/** What waits above the lanes before `write` says so, and when it says that there is room again. */
const FULL_BYTES = 256 * 1024;
const ROOM_BYTES = 128 * 1024;
/**
 * UDX alone keeps twice of what the path holds under way, which fills the queue at a bottleneck and loses every sixth
 * packet there (docs/BENCHMARKS.md). When round trips grow, a queue does: then no more than this share of what the
 * path itself holds goes out, and from there a little more each round trip.
 */
const SHARE = 1.1;
const GROWTH = 1.05;
/** So much more than the least round trip is a queue; and what the clocks of UDX and the event loop cannot see. */
const QUEUE_FACTOR = 1.25;
const SLACK_MS = 16;
const LEAST_BYTES = 128 * 1024;

/** One UDX stream and what waits for it. */
class Lane {
  readonly stream: UdxStream;
  readonly #waiting: Uint8Array[] = [];
  readonly #arrived: Uint8Array[] = [];
  #run: { buffer: ArrayBufferLike; from: number; to: number } | undefined;
  #clear = true;
  #ended = false;
  #leastRtt = Number.POSITIVE_INFINITY;
  #share = Number.POSITIVE_INFINITY;
  #looked = 0;
  #repeatedBefore = 0;
  bytes = 0;
  repeated = 0;

  constructor(stream: UdxStream) {
    this.stream = stream;
  }

  push(piece: Uint8Array): void {
    this.#waiting.push(piece);
    this.bytes += piece.length;
  }

  drained(): void {
    this.#clear = true;
  }

  /** Takes a packet's bytes, which UDX puts behind those of the packet before it while its buffer lasts. */
  arrived(piece: Uint8Array): void {
    const { buffer, byteOffset, length } = piece;
    if (this.#run?.buffer !== buffer || this.#run.to !== byteOffset) {
      this.#close();
      this.#run = { buffer, from: byteOffset, to: byteOffset };
    }
    this.#run.to += length;
  }

  /** What arrived since the last call, in few pieces. */
  taken(): Uint8Array[] {
    this.#close();
    return this.#arrived.splice(0);
  }

  #close(): void {
    if (!this.#run) return;
    const { buffer, from, to } = this.#run;
    this.#arrived.push(new Uint8Array(buffer, from, to - from));
    this.#run = undefined;
  }

  /** Hands over what may go; false if the rest waits for the path and not for UDX. */
  pump(freely: boolean): boolean {
    const allowance = freely ? Number.POSITIVE_INFINITY : this.#allowance();
    while (this.#clear) {
      const piece = this.#waiting[0];
      if (!piece) return true;
      if (this.stream.inflight >= allowance) return false;
      this.#waiting.shift();
      this.bytes -= piece.length;
      this.#clear = this.stream.write(piece) !== false;
    }
    return true;
  }

  /** Ends our direction once nothing waits. */
  end(): void {
    if (this.#ended || this.bytes > 0) return;
    this.#ended = true;
    this.stream.end();
  }

  /** UDX counts modulo 2^16. */
  count(): void {
    const now = this.stream.retransmits;
    this.repeated += (now - this.#repeatedBefore + 65_536) % 65_536;
    this.#repeatedBefore = now;
  }

  #allowance(): number {
    const { rtt, bbrBandwidth } = this.stream;
    if (rtt > 0) this.#leastRtt = Math.min(this.#leastRtt, rtt);
    const now = performance.now();
    if (rtt > this.#leastRtt * QUEUE_FACTOR + SLACK_MS) this.#share = SHARE;
    else this.#share *= GROWTH ** Math.min(1, (now - this.#looked) / Math.max(1, rtt));
    this.#looked = now;
    return Math.max(LEAST_BYTES, ((bbrBandwidth * (this.#leastRtt + SLACK_MS)) / 1000) * this.#share);
  }
}

/**
 * Several UDX streams as one: a single one has a window of 4 MB, 640 Mbit/s at 50 ms. What may be under way is also
 * held to what the path carries.
 */
export class UdxLanes extends EventEmitter implements ByteStream {
  readonly #lanes: readonly Lane[];
  readonly #divider: LaneDivider;
  readonly #gatherer: LaneGatherer;
  #full = false;
  #ending = false;
  #open: number;
  #unended: number;
  #timer: NodeJS.Timeout | undefined;
  #gathering: NodeJS.Immediate | undefined;

  constructor(streams: readonly UdxStream[]) {
    super();
    this.#lanes = streams.map((stream) => new Lane(stream));
    this.#divider = new LaneDivider(streams.length);
    this.#gatherer = new LaneGatherer(streams.length);
    this.#open = streams.length;
    this.#unended = streams.length;
    for (const lane of this.#lanes) this.#listen(lane);
  }

  write(data: Uint8Array): boolean {
    for (const { lane, piece } of this.#divider.divide(data)) this.#lanes[lane]?.push(piece);
    this.#pump();
    this.#full = this.#waiting > FULL_BYTES;
    return !this.#full;
  }

  end(): void {
    this.#ending = true;
    this.#pump();
  }

  destroy(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#gathering);
    this.#gathering = undefined;
    for (const { stream } of this.#lanes) stream.destroy();
  }

  stats(): CarrierStats {
    for (const lane of this.#lanes) lane.count();
    const sum = (value: (lane: Lane) => number) => this.#lanes.reduce((all, lane) => all + value(lane), 0);
    return {
      rttMs: Math.min(...this.#lanes.map(({ stream }) => stream.rtt)),
      packets: sum(({ stream }) => stream.packetsTransmitted),
      repeated: sum(({ repeated }) => repeated),
    };
  }

  get #waiting(): number {
    return this.#lanes.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  #listen(lane: Lane): void {
    const { stream } = lane;
    stream.on('data', (piece: Uint8Array) => {
      lane.arrived(piece);
      // One by one packets cost more than all that is done with them.
      this.#gathering ??= setImmediate(() => this.#gather());
    });
    stream.on('drain', () => {
      lane.drained();
      this.#pump();
    });
    stream.on('error', (error: Error) => {
      this.emit('error', error);
      this.destroy();
    });
    stream.on('end', () => {
      this.#unended -= 1;
      if (this.#unended > 0) return;
      this.#gather();
      this.emit('end');
    });
    stream.on('close', () => {
      this.#open -= 1;
      if (this.#open === 0) this.emit('close');
      else if (!this.#ending) this.destroy();
    });
  }

  #gather(): void {
    clearImmediate(this.#gathering);
    this.#gathering = undefined;
    try {
      for (const [index, lane] of this.#lanes.entries()) {
        for (const piece of lane.taken()) {
          for (const next of this.#gatherer.add(index, piece)) this.emit('data', next);
        }
      }
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.emit('error', error);
      this.destroy();
    }
  }

  #pump(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    let held = false;
    for (const lane of this.#lanes) {
      lane.count();
      if (!lane.pump(this.#ending)) held = true;
      if (this.#ending) lane.end();
    }
    if (held) this.#timer = setTimeout(() => this.#pump(), 1);
    if (this.#full && this.#waiting < ROOM_BYTES) {
      this.#full = false;
      this.emit('drain');
    }
  }
}
