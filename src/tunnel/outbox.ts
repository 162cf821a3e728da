import { TUNNEL_FRAME_HEADER_BYTES, type TunnelFrame, writeFrame } from '../wire/tunnel-frame.js';
import {
  TUNNEL_RECORD_BYTES,
  TUNNEL_SLAB_BYTES,
  TUNNEL_SLABS_MAX,
  TUNNEL_SPARE_SLABS,
} from '../wire/tunnel-limits.js';
import { RECORD_LENGTH_BYTES } from '../wire/tunnel-record.js';
import { type Slab, Slabs } from './slab.js';

/** A record with its length before it, and whose memory it is in. */
interface Kept {
  readonly framed: Buffer;
  readonly slab: Slab;
}

/**
 * What was sent and may have to be sent again: frames in numbered records, each kept until the peer says that it
 * has it. Pure; whoever moves the records takes them in order and says where to go on after a cut.
 */
export class Outbox {
  readonly #slabs = new Slabs(TUNNEL_SLAB_BYTES, TUNNEL_SLABS_MAX, TUNNEL_SPARE_SLABS);
  /** Where the record lies that is being filled, and how long it is by now. */
  #open: Slab | undefined;
  #length = 0;
  readonly #records: Kept[] = [];
  /** Number of the oldest record that is kept, and of the next one to take. */
  #first = 0;
  #next = 0;
  #kept = 0;
  #waiting = 0;

  /** Bytes of records that the peer has not acknowledged, taken or not. */
  get kept(): number {
    return this.#kept;
  }

  /** Bytes of records that nobody took yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Adds a copy of a frame to the open record: its memory may be used again. True when that one is large enough to go. */
  add(frame: TunnelFrame): boolean {
    const size = TUNNEL_FRAME_HEADER_BYTES + frame.body.length;
    if (this.#length + size > this.#room) this.seal();
    if (!this.#open) {
      this.#open = this.#slabs.withRoom(RECORD_LENGTH_BYTES + size);
      this.#slabs.hold(this.#open);
    }
    writeFrame(this.#open.memory, this.#open.used + RECORD_LENGTH_BYTES + this.#length, frame);
    this.#length += size;
    return this.#length > TUNNEL_RECORD_BYTES / 2;
  }

  /** How long the open record may become. */
  get #room(): number {
    if (!this.#open) return TUNNEL_RECORD_BYTES;
    return Math.min(TUNNEL_SLAB_BYTES - this.#open.used - RECORD_LENGTH_BYTES, TUNNEL_RECORD_BYTES);
  }

  /** Ends the open record. */
  seal(): void {
    const slab = this.#open;
    if (!slab) return;
    const length = this.#length;
    const framed = slab.memory.subarray(slab.used, slab.used + RECORD_LENGTH_BYTES + length);
    framed.writeUInt32BE(length);
    slab.used += framed.length;
    this.#open = undefined;
    this.#length = 0;
    this.#records.push({ framed, slab });
    this.#kept += length;
    this.#waiting += length;
  }

  /** The next record to send, once, with its length before it. */
  take(): Buffer | undefined {
    const framed = this.#records[this.#next - this.#first]?.framed;
    if (!framed) return undefined;
    this.#next += 1;
    this.#waiting -= plainLength(framed);
    return framed;
  }

  /**
   * The peer has the first `count` records; an old count changes nothing. Yields how many it did not have before;
   * their memory is used again, so nobody may look at them any more.
   * @throws RangeError if the peer acknowledges what was never sent
   */
  acknowledged(count: number): number {
    if (count > this.#next) throw new RangeError('acknowledges what was never sent');
    if (count <= this.#first) return 0;
    const fresh = this.#records.splice(0, count - this.#first);
    for (const { framed, slab } of fresh) {
      this.#kept -= plainLength(framed);
      this.#slabs.release(slab);
    }
    this.#first = count;
    return fresh.length;
  }

  /**
   * A new link: the peer has `count` records, and the next to take is that number.
   * @throws RangeError if that record was never sent, or was acknowledged before and is gone
   */
  resume(count: number): void {
    if (count < this.#first) throw new RangeError('asks for what it has acknowledged');
    this.acknowledged(count);
    this.#next = count;
    this.#waiting = this.#kept;
  }
}

function plainLength(framed: Buffer): number {
  return framed.length - RECORD_LENGTH_BYTES;
}
