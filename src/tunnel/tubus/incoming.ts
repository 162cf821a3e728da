import { TUBUS_EDGE_STEPS, TUBUS_PIECES_MAX } from '../../wire/tubus-constants.js';
import type { TubusLimits } from './limits.js';

/** What became of a move: both `stored` and `known` are echoed, the others are counted only. */
export type Arrival = 'stored' | 'known' | 'beyond' | 'crowded';

/** The stream from the peer: put together by offset, bounded by the edge that only the reader raises. */
export class Incoming {
  readonly #limits: TubusLimits;
  /** Moves that wait for an earlier one, by offset. */
  readonly #waiting = new Map<number, Buffer>();
  #ready: Buffer[] = [];
  /** Offset behind the last byte that is in order. */
  #head = 0;
  #consumed = 0;
  #edge: number;
  #echoed = -1;

  constructor(limits: TubusLimits) {
    this.#limits = limits;
    this.#edge = limits.receiveBytes;
  }

  /** The absolute offset that the peer may send up to. */
  get edge(): number {
    return this.#edge;
  }

  /** True until the peer has echoed the present edge. */
  get edgeIsNews(): boolean {
    return this.#echoed < this.#edge;
  }

  get received(): number {
    return this.#head;
  }

  /** Bytes in order that nobody has read yet. */
  get readable(): number {
    return this.#head - this.#consumed;
  }

  edgeEchoed(offset: number): void {
    if (offset <= this.#edge) this.#echoed = Math.max(this.#echoed, offset);
  }

  /** Takes a move; `data` is kept as it is. */
  accept(offset: number, data: Buffer): Arrival {
    const end = offset + data.length;
    if (end > this.#edge) return 'beyond';
    if (data.length === 0 || end <= this.#head || this.#waiting.has(offset)) return 'known';
    if (offset > this.#head) {
      if (this.#waiting.size >= TUBUS_PIECES_MAX) return 'crowded';
      this.#waiting.set(offset, data);
      return 'stored';
    }
    this.#append(data.subarray(this.#head - offset));
    for (;;) {
      const next = this.#waiting.get(this.#head);
      if (!next) break;
      this.#waiting.delete(this.#head);
      this.#append(next);
    }
    this.#forgetPassed();
    return 'stored';
  }

  #append(data: Buffer): void {
    this.#ready.push(data);
    this.#head += data.length;
  }

  /** Moves that overlap others come from no tubus, but they must not fill the memory, nor be lost. */
  #forgetPassed(): void {
    for (let again = true; again; ) {
      again = false;
      for (const [offset, data] of this.#waiting) {
        if (offset > this.#head) continue;
        this.#waiting.delete(offset);
        if (offset + data.length <= this.#head) continue;
        this.#append(data.subarray(this.#head - offset));
        again = true;
      }
    }
  }

  /** Everything that is in order, and room for as much; undefined if there is nothing. */
  read(): Buffer[] | undefined {
    if (this.#ready.length === 0) return undefined;
    const chunks = this.#ready;
    this.#ready = [];
    this.#consumed = this.#head;
    const edge = this.#consumed + this.#limits.receiveBytes;
    if (edge - this.#edge >= this.#limits.receiveBytes / TUBUS_EDGE_STEPS) this.#edge = edge;
    return chunks;
  }
}
