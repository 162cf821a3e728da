import { BufferPool } from '../util/buffer-pool.js';
import { TUNNEL_FRAME_HEADER_BYTES, type TunnelFrame, writeFrame } from '../wire/tunnel-frame.js';
import { TUNNEL_RECORD_BYTES, TUNNEL_SPARE_RECORDS } from '../wire/tunnel-limits.js';
import { RECORD_LENGTH_BYTES } from '../wire/tunnel-record.js';

const SPACE_BYTES = RECORD_LENGTH_BYTES + TUNNEL_RECORD_BYTES;
/** A record that is smaller than this is kept in memory of its own size. */
const SMALL_BYTES = SPACE_BYTES / 8;

/**
 * What was sent and may have to be sent again: frames in numbered records, each kept until the peer says that it
 * has it. Pure; whoever moves the records takes them in order and says where to go on after a cut.
 */
export class Outbox {
  /** The record that is being filled, and up to where. */
  #open: Buffer | undefined;
  #at = RECORD_LENGTH_BYTES;
  readonly #records: Buffer[] = [];
  readonly #pool = new BufferPool(SPACE_BYTES, TUNNEL_SPARE_RECORDS);
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
    if (this.#at + TUNNEL_FRAME_HEADER_BYTES + frame.body.length > SPACE_BYTES) this.seal();
    this.#open ??= this.#pool.take(SPACE_BYTES);
    this.#at = writeFrame(this.#open, this.#at, frame);
    return this.#at > SPACE_BYTES / 2;
  }

  /** Ends the open record. */
  seal(): void {
    const open = this.#open;
    if (!open || this.#at === RECORD_LENGTH_BYTES) return;
    let framed = open.subarray(0, this.#at);
    if (framed.length < SMALL_BYTES) framed = Buffer.from(framed);
    else this.#open = undefined;
    this.#at = RECORD_LENGTH_BYTES;
    framed.writeUInt32BE(plainLength(framed));
    this.#records.push(framed);
    this.#kept += plainLength(framed);
    this.#waiting += plainLength(framed);
  }

  /** The next record to send, once, with its length before it. */
  take(): Buffer | undefined {
    const framed = this.#records[this.#next - this.#first];
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
    for (const framed of fresh) {
      this.#kept -= plainLength(framed);
      this.#pool.give(framed);
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
