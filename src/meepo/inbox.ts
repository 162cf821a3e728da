import { IN_HIGH_BYTES, STALL_MS } from './limits.js';

/** A stream whose reader may be slow. */
export interface SlowReader {
  readonly waiting: number;
  /** Milliseconds of the monotonic clock when its reader last took something. */
  readonly takenAt: number;
  giveUp(): void;
}

/**
 * What arrived on one path and was not read yet. The path has one window for all its channels, so a reader that stops
 * would stop everybody: when too much waits the peer is told to stop, and a reader that took nothing for half a minute
 * while that lasts loses its connection.
 */
export class Inbox {
  readonly #readers = new Set<SlowReader>();
  readonly #move: (bytes: number) => void;
  readonly #now: () => number;
  #waiting = 0;
  #held = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(move: (bytes: number) => void, now: () => number = () => performance.now()) {
    this.#move = move;
    this.#now = now;
  }

  get waiting(): number {
    return this.#waiting;
  }

  join(reader: SlowReader): () => void {
    this.#readers.add(reader);
    return () => {
      this.#readers.delete(reader);
    };
  }

  arrived(bytes: number): void {
    this.#waiting += bytes;
    this.#balance();
  }

  taken(bytes: number): void {
    this.#waiting -= bytes;
    this.#balance();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#readers.clear();
  }

  #balance(): void {
    const excess = Math.max(0, this.#waiting - IN_HIGH_BYTES);
    const full = excess > 0;
    // Given back in one go when half of it is read, so that the peer is not told of every crumb.
    if (excess > this.#held || (this.#held > 0 && this.#waiting <= IN_HIGH_BYTES / 2)) {
      const by = this.#held - excess;
      this.#held = excess;
      this.#move(by);
    }
    if (full && !this.#timer) {
      this.#timer = setInterval(() => this.#evict(), STALL_MS / 10);
      this.#timer.unref();
    } else if (!full && this.#timer) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #evict(): void {
    const before = this.#now() - STALL_MS;
    for (const reader of this.#readers) {
      if (reader.waiting > 0 && reader.takenAt < before) reader.giveUp();
    }
  }
}
