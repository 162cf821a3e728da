import { BufferPool } from '../../util/buffer-pool.js';
import { openVolley, SEALED_BYTES, type Segment } from '../../wire/volley.js';
import { REPORT_RUN_MAX, type ReportPart } from '../../wire/volley-report.js';
import { VOLLEY_HELD_BYTES, VOLLEY_SPARE, VOLLEY_WINDOW } from './limits.js';

/** A volley of which some segments are there. */
interface Part {
  readonly number: number;
  readonly count: number;
  readonly share: number;
  readonly sealed: Buffer;
  readonly got: Uint8Array;
  left: number;
  /** Of the last segment, which alone may be short. */
  lastBytes: number;
}

/** One that was opened, and the pool's memory in which it was. */
interface Whole {
  readonly sealed: Buffer;
  readonly plain: Buffer;
}

/**
 * The receiving half: puts segments together to volleys, opens them, and yields their plaintexts in order. What is
 * said in a header counts for nothing until the volley opens: segments of one that does not are forgotten, so that
 * the sender repeats them, and a forger gains what he would by dropping packets.
 */
export class Arrivals {
  readonly #key: Buffer;
  readonly #token: number;
  readonly #pool = new BufferPool(SEALED_BYTES, VOLLEY_SPARE);
  readonly #parts = new Map<number, Part>();
  /** The one that the last segment belonged to: the next one is nearly always of the same. */
  #last: Part | undefined;
  /** Opened, and waiting for what belongs before them or for who takes them. */
  readonly #whole = new Map<number, Whole>();
  /** What {@link next} yielded last. */
  #taken: Buffer | undefined;
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

  /** Takes a segment in any order. */
  take(segment: Segment): void {
    const { token, number } = segment;
    if (token !== this.#token || number >= this.#next + VOLLEY_WINDOW) {
      this.bad += 1;
      return;
    }
    if (number < this.#next || (number !== this.#last?.number && this.#whole.has(number))) {
      this.repeated += 1;
      return;
    }
    const sealed = this.#gather(segment);
    if (!sealed) return;
    const plain = openVolley(this.#key, number, sealed);
    if (!plain) {
      this.#pool.give(sealed);
      this.bad += segment.count;
      return;
    }
    this.#seen = Math.max(this.#seen, number + 1);
    this.#whole.set(number, { sealed, plain });
    this.#held += sealed.length;
  }

  /** The next plaintext in order, if it is there; it is good until the next call. */
  next(): Buffer | undefined {
    if (this.#taken) this.#pool.give(this.#taken);
    const whole = this.#whole.get(this.#next);
    this.#taken = whole?.sealed;
    if (!whole) return undefined;
    this.#whole.delete(this.#next);
    this.#held -= whole.sealed.length;
    this.#next += 1;
    return whole.plain;
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
  #gather(segment: Segment): Buffer | undefined {
    const { index, count, share, from, to } = segment;
    const part = this.#partOf(segment);
    if (!part) return undefined;
    if (part.got[index]) {
      this.repeated += 1;
      return undefined;
    }
    part.sealed.set(segment.data.subarray(from, to), index * share);
    part.got[index] = 1;
    part.left -= 1;
    if (index === count - 1) part.lastBytes = to - from;
    if (part.left > 0) return undefined;
    this.#drop(part);
    return part.sealed.subarray(0, (count - 1) * share + part.lastBytes);
  }

  #partOf({ number, count, share }: Segment): Part | undefined {
    const last = this.#last?.number === number ? this.#last : this.#parts.get(number);
    if (last?.count === count && last.share === share) {
      this.#last = last;
      return last;
    }
    if (last) {
      // Cut anew; or one of both was forged, and nothing tells which.
      this.bad += 1;
      this.#forget(last);
    }
    const bytes = Math.min(count * share, SEALED_BYTES);
    if (!this.#makeRoom(number, bytes)) {
      this.bad += 1;
      return undefined;
    }
    this.#held += bytes;
    const sealed = this.#pool.take(bytes);
    const part = { number, count, share, sealed, got: new Uint8Array(count), left: count, lastBytes: 0 };
    this.#parts.set(number, part);
    this.#last = part;
    this.#seen = Math.max(this.#seen, number + 1);
    return part;
  }

  /** What is needed first stays; segments that are far ahead may be a forger's, and are repeated if not. */
  #makeRoom(number: number, bytes: number): boolean {
    while (this.#held + bytes > VOLLEY_HELD_BYTES) {
      const last = Math.max(...this.#parts.keys(), -1);
      const part = this.#parts.get(last);
      if (!part || last < number) return number === this.#next;
      this.#forget(part);
    }
    return true;
  }

  #forget(part: Part): void {
    this.#drop(part);
    this.#pool.give(part.sealed);
  }

  #drop(part: Part): void {
    this.#parts.delete(part.number);
    this.#held -= part.sealed.length;
    if (this.#last === part) this.#last = undefined;
  }
}
