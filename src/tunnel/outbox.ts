import { BufferPool } from '../util/buffer-pool.js';
import { encodeFrameHeader, TUNNEL_FRAME_HEADER_BYTES, type TunnelFrame } from '../wire/tunnel-frame.js';
import { TUNNEL_RECORD_BYTES, TUNNEL_SPARE_RECORDS } from '../wire/tunnel-limits.js';
import { frameRecord, RECORD_LENGTH_BYTES } from '../wire/tunnel-record.js';

/**
 * What was sent and may have to be sent again: frames in numbered records, each kept until the peer says that it
 * has it. Pure; whoever moves the records takes them in order and says where to go on after a cut.
 */
export class Outbox {
  #parts: Uint8Array[] = [];
  #open = 0;
  readonly #records: Buffer[] = [];
  readonly #pool = new BufferPool(RECORD_LENGTH_BYTES + TUNNEL_RECORD_BYTES, TUNNEL_SPARE_RECORDS);
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

  /** Adds a frame to the open record. True when that one is large enough to go. */
  add(frame: TunnelFrame): boolean {
    const size = TUNNEL_FRAME_HEADER_BYTES + frame.body.length;
    if (this.#open + size > TUNNEL_RECORD_BYTES) this.seal();
    this.#parts.push(encodeFrameHeader(frame.type, frame.channel, frame.body.length));
    if (frame.body.length > 0) this.#parts.push(frame.body);
    this.#open += size;
    return this.#open > TUNNEL_RECORD_BYTES / 2;
  }

  /** Ends the open record, a copy of what was added: the adder may use its memory again. */
  seal(): void {
    if (this.#open === 0) return;
    const framed = frameRecord(this.#parts, this.#open, (length) => this.#pool.take(length));
    this.#parts = [];
    this.#open = 0;
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
