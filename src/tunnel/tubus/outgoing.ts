import type { TubusSection } from '../../wire/tubus.js';
import type { TubusLimits } from './limits.js';
import type { Pace } from './pace.js';

type Move = Extract<TubusSection, { type: 'move' }>;

interface Flying {
  readonly move: Move;
  readonly firstAt: number;
  attempts: number;
  dueAt: number;
}

/** The stream to the peer: cut into moves at absolute offsets, each kept until its echo. Times in ms. */
export class Outgoing {
  readonly #limits: TubusLimits;
  readonly #pace: Pace;
  /** By offset, in order of their first sending. */
  readonly #flying = new Map<number, Flying>();
  #unsent: Buffer[] = [];
  #unsentBytes = 0;
  #flyingBytes = 0;
  /** Offset of the first byte that was never sent. */
  #next = 0;
  #edge = 0;
  /** Sendings of moves, and those of them that were repetitions. */
  moves = 0;
  retransmitted = 0;

  constructor(limits: TubusLimits, pace: Pace) {
    this.#limits = limits;
    this.#pace = pace;
  }

  /** Bytes that are not acknowledged yet, sent or not. */
  get pending(): number {
    return this.#unsentBytes + this.#flyingBytes;
  }

  /** True if a writer need not wait. */
  get hasRoom(): boolean {
    return this.pending < this.#limits.sendBytes;
  }

  get sent(): number {
    return this.#next;
  }

  write(data: Buffer): void {
    if (data.length === 0) return;
    this.#unsent.push(data);
    this.#unsentBytes += data.length;
  }

  /** The peer takes bytes up to `offset`; an edge never goes back, so that late datagrams change nothing. */
  raiseEdge(offset: number): void {
    this.#edge = Math.max(this.#edge, offset);
  }

  /** The peer has the move that begins at `offset`. False if no such move is in flight. */
  acknowledge(offset: number, now: number): boolean {
    const flying = this.#flying.get(offset);
    if (!flying) return false;
    this.#flying.delete(offset);
    this.#flyingBytes -= flying.move.data.length;
    // Which of several sendings was echoed cannot be told (Karn); a first guess, too long, is better than none.
    if (flying.attempts === 1 || this.#pace.rtt === undefined) this.#pace.sample(now - flying.firstAt);
    this.#pace.grow();
    return true;
  }

  /** True once a move was sent as often as it may be and its last gap is over too. */
  isBroken(now: number): boolean {
    for (const { attempts, dueAt } of this.#flying.values()) {
      if (attempts >= this.#limits.moveAttempts && dueAt <= now) return true;
    }
    return false;
  }

  /** A move whose echo is overdue, as it was first sent: the peer reassembles by exact offsets. */
  repeat(now: number, room: number): Move | undefined {
    for (const flying of this.#flying.values()) {
      if (flying.dueAt > now || flying.attempts >= this.#limits.moveAttempts) continue;
      if (flying.move.data.length > room) return undefined;
      flying.attempts += 1;
      flying.dueAt = now + this.#pace.gap(flying.attempts);
      this.#pace.shrink(now);
      this.moves += 1;
      this.retransmitted += 1;
      return flying.move;
    }
    return undefined;
  }

  /** The next move of up to `room` bytes, if edge and flight allow one. Small rests wait for a datagram of their own. */
  next(now: number, room: number, capacity: number): Move | undefined {
    const allowed = Math.min(this.#unsentBytes, this.#edge - this.#next, capacity);
    if (allowed <= 0 || allowed > room || this.#flying.size >= this.#pace.window) return undefined;
    const move: Move = { type: 'move', offset: this.#next, data: this.#take(allowed) };
    this.moves += 1;
    this.#next += allowed;
    this.#unsentBytes -= allowed;
    this.#flyingBytes += allowed;
    this.#flying.set(move.offset, { move, firstAt: now, attempts: 1, dueAt: now + this.#pace.gap(1) });
    return move;
  }

  #take(bytes: number): Buffer {
    const parts: Buffer[] = [];
    let missing = bytes;
    while (missing > 0) {
      const first = this.#unsent[0] as Buffer;
      if (first.length > missing) {
        parts.push(first.subarray(0, missing));
        this.#unsent[0] = first.subarray(missing);
        break;
      }
      parts.push(first);
      missing -= first.length;
      this.#unsent.shift();
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  /** Forgets everything: nobody will read it any more. */
  drop(): void {
    this.#unsent = [];
    this.#flying.clear();
    this.#unsentBytes = 0;
    this.#flyingBytes = 0;
  }

  /** When {@link repeat} or {@link isBroken} has something to say next. */
  get dueAt(): number {
    let due = Number.POSITIVE_INFINITY;
    for (const flying of this.#flying.values()) due = Math.min(due, flying.dueAt);
    return due;
  }
}
