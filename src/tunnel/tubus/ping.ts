import { TUBUS_LINK_REPEAT_MS } from '../../wire/tubus-constants.js';
import type { Pace } from './pace.js';

const REMEMBERED = 8;

/** The connecting side's pings: at once, then one interval after each echo; repeated until there is an echo. */
export class Pinger {
  readonly #pace: Pace;
  readonly #intervalMs: number;
  /** Values not echoed yet, and when each was sent: a late echo of an earlier one is as good. */
  readonly #open = new Map<bigint, number>();
  #attempts = 0;
  dueAt = 0;

  constructor(pace: Pace, intervalMs: number) {
    this.#pace = pace;
    this.#intervalMs = intervalMs;
  }

  /** The value of a ping that is due: the clock in microseconds. */
  ask(now: number): bigint | undefined {
    if (now < this.dueAt) return undefined;
    const value = BigInt.asUintN(64, BigInt(Math.floor(now * 1000)));
    this.#open.set(value, now);
    for (const old of this.#open.keys()) {
      if (this.#open.size <= REMEMBERED) break;
      this.#open.delete(old);
    }
    this.#attempts += 1;
    this.dueAt = now + Math.max(TUBUS_LINK_REPEAT_MS, this.#pace.gap(this.#attempts));
    return value;
  }

  /** False for an echo of what was never asked. */
  echoed(value: bigint, now: number): boolean {
    const sentAt = this.#open.get(value);
    if (sentAt === undefined) return false;
    this.#pace.sample(now - sentAt);
    this.#open.clear();
    this.#attempts = 0;
    this.dueAt = now + this.#intervalMs;
    return true;
  }
}
