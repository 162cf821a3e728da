import { BufferPool } from '../../util/buffer-pool.js';
import { openVolley, SEGMENT_PAYLOAD_BYTES, SEGMENTS_MAX, type Segment } from '../../wire/volley.js';
import { REPORT_RUN_MAX, type ReportPart } from '../../wire/volley-report.js';
import { VOLLEY_HELD_BYTES, VOLLEY_SPARE, VOLLEY_WINDOW } from './limits.js';

/** A volley of which some segments are there. */
interface Part {
  readonly count: number;
  readonly sealed: Buffer;
  readonly got: Uint8Array;
  left: number;
  /** Of the last segment, which alone may be short. */
  lastBytes: number;
}

/**
 * The receiving half: puts segments together to volleys, opens them, and yields their plaintexts in order. What is
 * said in a header counts for nothing until the volley opens: segments of one that does not are forgotten, so that
 * the sender repeats them, and a forger gains what he would by dropping packets.
 */
export class Arrivals {
  readonly #key: Buffer;
  readonly #token: number;
  readonly #pool = new BufferPool(SEGMENTS_MAX * SEGMENT_PAYLOAD_BYTES, VOLLEY_SPARE);
  readonly #parts = new Map<number, Part>();
  /** Opened, and waiting for what belongs before them. */
  readonly #whole = new Map<number, readonly Buffer[]>();
  #next = 0;
  #seen = 0;
  #held = 0;
  /** Segments that are not ours, or of volleys that did not open or contradict themselves; and those that came before. */
  bad = 0;
  repeated = 0;

  constructor(key: Buffer, token: number) {
    this.#key = key;
    this.#token = token;
  }

  /** Bytes kept of volleys that are not whole, or not in order. */
  get held(): number {
    return this.#held;
  }

  /** Takes a segment in any order; yields the plaintexts that are in order now, each in pieces. */
  take(segment: Segment): readonly (readonly Buffer[])[] {
    const { token, number } = segment;
    if (token !== this.#token || number >= this.#next + VOLLEY_WINDOW) {
      this.bad += 1;
      return [];
    }
    if (number < this.#next || this.#whole.has(number)) {
      this.repeated += 1;
      return [];
    }
    const sealed = this.#gather(segment);
    if (!sealed) return [];
    const plain = openVolley(this.#key, number, sealed);
    this.#pool.give(sealed);
    if (!plain) {
      this.bad += segment.count;
      return [];
    }
    this.#seen = Math.max(this.#seen, number + 1);
    if (number !== this.#next) {
      this.#whole.set(number, plain);
      this.#held += sizeOf(plain);
      return [];
    }
    return this.#inOrder(plain);
  }

  /** For a report: what is there beyond the volleys in order. */
  state(): { readonly next: number; readonly seen: number; readonly parts: readonly ReportPart[] } {
    const next = this.#next;
    const parts: ReportPart[] = [];
    for (let number = next; number < this.#seen; number++) {
      if (this.#whole.has(number)) {
        let run = 1;
        while (run < REPORT_RUN_MAX && this.#whole.has(number + run)) run += 1;
        parts.push({ number, run });
        number += run - 1;
      } else {
        const part = this.#parts.get(number);
        if (part) parts.push({ number, got: part.got });
      }
    }
    return { next, seen: this.#seen, parts };
  }

  /** The sealed volley once it is whole; its memory is the pool's. */
  #gather({ number, index, count, payload }: Segment): Buffer | undefined {
    let part = this.#parts.get(number);
    if (part && part.count !== count) {
      // One of both was forged, and nothing tells which.
      this.bad += 1;
      this.#forget(number, part);
      part = undefined;
    }
    if (!part) {
      const bytes = count * SEGMENT_PAYLOAD_BYTES;
      if (!this.#makeRoom(number, bytes)) {
        this.bad += 1;
        return undefined;
      }
      this.#held += bytes;
      const sealed = this.#pool.take(bytes);
      part = { count, sealed, got: new Uint8Array(count), left: count, lastBytes: 0 };
      this.#parts.set(number, part);
      this.#seen = Math.max(this.#seen, number + 1);
    }
    if (part.got[index]) {
      this.repeated += 1;
      return undefined;
    }
    payload.copy(part.sealed, index * SEGMENT_PAYLOAD_BYTES);
    part.got[index] = 1;
    part.left -= 1;
    if (index === count - 1) part.lastBytes = payload.length;
    if (part.left > 0) return undefined;
    this.#parts.delete(number);
    this.#held -= part.sealed.length;
    return part.sealed.subarray(0, (count - 1) * SEGMENT_PAYLOAD_BYTES + part.lastBytes);
  }

  /** What is needed first stays; segments that are far ahead may be a forger's, and are repeated if not. */
  #makeRoom(number: number, bytes: number): boolean {
    while (this.#held + bytes > VOLLEY_HELD_BYTES) {
      const last = Math.max(...this.#parts.keys(), -1);
      const part = this.#parts.get(last);
      if (!part || last < number) return number === this.#next;
      this.#forget(last, part);
    }
    return true;
  }

  #forget(number: number, part: Part): void {
    this.#parts.delete(number);
    this.#held -= part.sealed.length;
    this.#pool.give(part.sealed);
  }

  #inOrder(first: readonly Buffer[]): readonly (readonly Buffer[])[] {
    const ready: (readonly Buffer[])[] = [];
    for (let plain: readonly Buffer[] | undefined = first; plain; plain = this.#whole.get(this.#next)) {
      ready.push(plain);
      if (this.#whole.delete(this.#next)) this.#held -= sizeOf(plain);
      this.#next += 1;
    }
    return ready;
  }
}

function sizeOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}
