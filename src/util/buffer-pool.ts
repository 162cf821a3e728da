/**
 * Large buffers that are used again. Garbage of this size is what V8's full collections are started by, and one that
 * waits for a network lives too long for the quick ones.
 */
export class BufferPool {
  readonly #size: number;
  readonly #limit: number;
  readonly #free: ArrayBuffer[] = [];
  #used = 0;

  /** Buffers of up to `size` bytes, of which no more than `limit` wait to be used, or than are in use. */
  constructor(size: number, limit: number) {
    this.#size = size;
    this.#limit = limit;
  }

  /** A buffer with whatever was in it before. One that is far smaller than the pool's is not worth a place in it. */
  take(length: number): Buffer {
    if (length > this.#size || length < this.#size / 8) return Buffer.allocUnsafe(length);
    this.#used += 1;
    return Buffer.from(this.#free.pop() ?? new ArrayBuffer(this.#size), 0, length);
  }

  /** Lets go of all that wait but `count`. */
  trim(count: number): void {
    if (this.#free.length > count) this.#free.length = count;
  }

  /** Gives one of {@link take} back; nobody may use it from now on. */
  give({ buffer, byteOffset }: Buffer): void {
    if (buffer.byteLength !== this.#size || byteOffset !== 0 || !(buffer instanceof ArrayBuffer)) return;
    this.#used -= 1;
    // What a network takes comes back in heaps; what is over when there is less to do goes, little by little.
    const most = Math.max(this.#limit, this.#used);
    if (this.#free.length < most) this.#free.push(buffer);
    else this.#free.length = most;
  }
}
