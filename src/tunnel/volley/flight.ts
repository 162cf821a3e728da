import { recutVolley, SEGMENT_BYTES, SEGMENTS_MAX } from '../../wire/volley.js';
import type { Departure } from './bandwidth.js';
import { VOLLEY_SPARE } from './limits.js';

/** Segments that go out at once: all of `width` bytes but the last. */
export interface Sendable {
  readonly wire: Buffer;
  readonly width: number;
}

/** A volley that the peer does not have whole. */
export interface Flight {
  readonly number: number;
  readonly wire: Buffer;
  /** Bytes of its segments but the last. */
  readonly width: number;
  readonly count: number;
  readonly marks: Marks;
  readonly departure: Departure;
  /** Of those segments of it that were sent again last. */
  again: Departure | undefined;
}

/** What came of a report. */
export interface Tally {
  bytes: number;
  newest: Departure | undefined;
  newestAt: number;
  /** It is known which of several that left arrived: there was one. */
  once: boolean;
}

/** What is kept of each segment; the arrays have room for the largest volley, and are used again. */
export interface Marks {
  readonly got: Uint8Array;
  /** When it left last; 0 for one that is not under way: it arrived, or waits to be repeated. */
  readonly sentAt: Float64Array;
}

export class MarksPool {
  readonly #free: Marks[] = [];

  /** For so many segments that leave now. */
  take(count: number, now: number): Marks {
    const marks = this.#free.pop() ?? {
      got: new Uint8Array(SEGMENTS_MAX),
      sentAt: new Float64Array(SEGMENTS_MAX),
    };
    marks.got.fill(0, 0, count);
    marks.sentAt.fill(now, 0, count);
    return marks;
  }

  give(marks: Marks): void {
    if (this.#free.length < VOLLEY_SPARE) this.#free.push(marks);
  }
}

/** Bytes in the pieces in which they came. */
export class PieceQueue {
  readonly #pieces: Uint8Array[] = [];
  bytes = 0;

  add(piece: Uint8Array): void {
    if (piece.length === 0) return;
    this.#pieces.push(piece);
    this.bytes += piece.length;
  }

  /** The next bytes, of which there may be fewer. */
  take(most: number): Uint8Array[] {
    const taken: Uint8Array[] = [];
    let room = most;
    while (room > 0) {
      const piece = this.#pieces[0];
      if (!piece) break;
      if (piece.length <= room) this.#pieces.shift();
      else this.#pieces[0] = piece.subarray(room);
      const part = piece.length <= room ? piece : piece.subarray(0, room);
      taken.push(part);
      room -= part.length;
    }
    this.bytes -= most - room;
    return taken;
  }
}

/** Bytes on the wire of one segment. */
export function sizeOf({ wire, count, width }: Flight, index: number): number {
  return index < count - 1 ? width : wire.length - (count - 1) * width;
}

/** One segment of it. */
export function pieceOf({ wire, width }: Flight, index: number): Buffer {
  return wire.subarray(index * width, (index + 1) * width);
}

/** The same volley in segments that every path takes, of which none has left; its marks are used again. */
export function shorter(old: Flight, pool: MarksPool): Flight {
  const wire = recutVolley(old.wire, old.width, SEGMENT_BYTES);
  const count = Math.ceil(wire.length / SEGMENT_BYTES);
  pool.give(old.marks);
  return { ...old, wire, width: SEGMENT_BYTES, count, marks: pool.take(count, 0), again: undefined };
}
