import { RoundTrip } from '../../util/round-trip.js';
import {
  TUBUS_FLIGHT_MIN,
  TUBUS_FLIGHT_START,
  TUBUS_LINK_REPEAT_MS,
  TUBUS_REPEAT_MAX_MS,
  TUBUS_REPEAT_MIN_MS,
} from '../../wire/tubus-constants.js';

const SHRINK = 0.75;

/** Round-trip time, the repeat interval that follows from it, and how many moves may be in flight. Times in ms. */
export class Pace {
  readonly #flight: number;
  readonly #trip = new RoundTrip();
  #window: number;
  #slowStart = true;
  #shrunkAt = Number.NEGATIVE_INFINITY;

  constructor(flight: number) {
    this.#flight = flight;
    this.#window = Math.min(flight, TUBUS_FLIGHT_START);
  }

  get rtt(): number | undefined {
    return this.#trip.ms;
  }

  /** Moves that may be in flight now; at most the format's 48. */
  get window(): number {
    return Math.floor(this.#window);
  }

  /** Takes a measured round trip, smoothed as in RFC 6298. */
  sample(ms: number): void {
    this.#trip.measured(ms);
  }

  /**
   * Gap before sending number `attempt` + 1: max(2 RTT, 10 ms) as in tubus, more where the RTT varies; it grows
   * from the third repetition on, because what is lost three times meets an outage and no accident.
   */
  gap(attempt: number): number {
    const { ms: rtt, variation } = this.#trip;
    const base =
      rtt === undefined ? TUBUS_LINK_REPEAT_MS : Math.max(2 * rtt, rtt + 4 * variation, TUBUS_REPEAT_MIN_MS);
    if (attempt <= 3) return base;
    return Math.max(base, Math.min(TUBUS_REPEAT_MAX_MS, base * 1.5 ** (attempt - 3)));
  }

  /** A move was acknowledged: doubles the window each round trip at first, later adds one move each round trip. */
  grow(): void {
    this.#window = Math.min(this.#flight, this.#window + (this.#slowStart ? 1 : 1 / this.#window));
  }

  /** A move had to be repeated: a quarter less in flight, once a round trip. */
  shrink(now: number): void {
    this.#slowStart = false;
    if (now - this.#shrunkAt < Math.max(this.rtt ?? 0, TUBUS_REPEAT_MIN_MS)) return;
    this.#shrunkAt = now;
    this.#window = Math.max(Math.min(this.#flight, TUBUS_FLIGHT_MIN), this.#window * SHRINK);
  }
}
