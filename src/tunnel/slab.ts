import { BufferPool } from '../util/buffer-pool.js';

/** Memory that things are put into one behind the other, and how many of them are still needed. */
export interface Slab {
  readonly memory: Buffer;
  used: number;
  live: number;
}

/**
 * Memory for things that are needed no more in the order in which they came, more or less: neighbours lie side by
 * side, so that several can be handed over as one, and a slab is used again when nothing in it is needed.
 */
export class Slabs {
  readonly #size: number;
  readonly #spare: number;
  /** Slabs in which something is needed. */
  #needed = 0;
  readonly #pool: BufferPool;
  #current: Slab | undefined;

  /** Slabs of `size` bytes, of which `most` wait to be used again while something is needed, and `spare` otherwise. */
  constructor(size: number, most: number, spare: number) {
    this.#size = size;
    this.#spare = spare;
    this.#pool = new BufferPool(size, most);
  }

  /** The slab with room for `bytes`, at most the size of one, behind `used`. */
  withRoom(bytes: number): Slab {
    const old = this.#current;
    if (old && this.#size - old.used >= bytes) return old;
    this.#current = { memory: this.#pool.take(this.#size), used: 0, live: 0 };
    return this.#current;
  }

  /** One thing more in it is needed. */
  hold(slab: Slab): void {
    if (slab.live === 0) this.#needed += 1;
    slab.live += 1;
  }

  /** One thing in it is needed no more; nobody may look at it from now on. */
  release(slab: Slab): void {
    slab.live -= 1;
    if (slab.live > 0) return;
    if (slab === this.#current) slab.used = 0;
    else this.#pool.give(slab.memory);
    this.#needed -= 1;
    if (this.#needed === 0) this.#pool.trim(this.#spare);
  }
}
