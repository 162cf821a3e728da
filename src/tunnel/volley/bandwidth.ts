import { RoundTrip } from '../../util/round-trip.js';
import {
  CYCLE_GAINS,
  FLIGHT_GAIN,
  FULL_GROWTH,
  FULL_ROUNDS,
  INITIAL_FLIGHT_BYTES,
  INITIAL_RTT_MS,
  LEAST_FLIGHT_BYTES,
  LEAST_RTT_MS,
  PROBE_RTT_GAIN,
  PROBE_RTT_MS,
  QUEUE_FACTOR,
  QUEUE_FLIGHT_GAIN,
  RATE_ROUNDS,
  RISE,
  RISES,
  SLACK_MS,
  STARTUP_GAIN,
  STARTUP_LOSS,
  VOLLEY_FLIGHT_BYTES,
} from './limits.js';

/** What was known when something was sent: what arrives of it then tells the rate of delivery. */
export interface Departure {
  readonly at: number;
  readonly delivered: number;
  readonly deliveredAt: number;
  readonly firstAt: number;
  /** There was less to send than could have been: what arrives of it says nothing against a higher rate. */
  readonly idle: boolean;
}

export interface Delivery {
  readonly bytes: number;
  /** Found to be lost with this report. */
  readonly lost: number;
  /** Of the newest departure among what arrived. */
  readonly departure: Departure | undefined;
  /** Only of what was sent once. */
  readonly rttMs: number | undefined;
  /** Sent, and neither arrived nor lost, after this delivery. */
  readonly inFlight: number;
  /** Bytes that may wait for the peer in its kernel. */
  readonly room: number;
}

type Phase = 'startup' | 'drain' | 'cycle';

/**
 * How much may be sent, and how fast: what the path delivers and its least round trip are measured, and loss alone
 * slows nothing (BBR, draft-cardwell-iccrg-bbr-congestion-control-00, in its first version; with a slack for event
 * loops, a bound on queues, and a milder look for the least round trip). Pure; bytes and ms.
 */
export class Bandwidth {
  #phase: Phase = 'startup';
  /** Highest rate of each of the last rounds, the present one last. */
  readonly #rates: number[] = [0];
  #best = 0;
  #fullRate = 0;
  #fullRounds = 0;
  #roundEnds = 0;
  #roundBegan = 0;
  #roundAt = 0;
  #roundLost = 0;
  #leastRtt = Number.POSITIVE_INFINITY;
  #leastAt = 0;
  readonly #trip = new RoundTrip();
  #probeEnds = 0;
  #probed = Number.POSITIVE_INFINITY;
  #cycle = 0;
  #cycleAt = 0;
  #bestBefore = 0;
  #rises = 0;
  #delivered = 0;
  #deliveredAt = 0;
  #firstAt = 0;
  #idleUntil = 0;
  #room = VOLLEY_FLIGHT_BYTES;
  #flight = INITIAL_FLIGHT_BYTES;
  #queued = false;

  get rttMs(): number {
    return this.#trip.ms ?? INITIAL_RTT_MS;
  }

  get measured(): boolean {
    return this.#trip.ms !== undefined;
  }

  /** RFC 6298 section 2: what a round trip takes at most, nearly always. */
  get patienceMs(): number {
    return this.rttMs + 4 * this.#trip.variation;
  }

  /** Bytes per ms that may go out. */
  get rate(): number {
    const rate = this.#best * this.#gain;
    if (this.#phase !== 'startup') return Math.max(rate, LEAST_FLIGHT_BYTES / this.rttMs);
    // What little was sent so far says nothing of what the path takes.
    return Math.max(rate, (INITIAL_FLIGHT_BYTES / (this.#trip.ms ?? 1)) * STARTUP_GAIN);
  }

  /** Bytes that may be under way. */
  get flight(): number {
    return this.#flight;
  }

  /** Something leaves, with so much under way before it. */
  departs(now: number, inFlight: number): Departure {
    if (inFlight === 0) {
      this.#firstAt = now;
      this.#deliveredAt = now;
    }
    return {
      at: now,
      delivered: this.#delivered,
      deliveredAt: this.#deliveredAt,
      firstAt: this.#firstAt,
      idle: this.#delivered < this.#idleUntil,
    };
  }

  /** There is nothing to send, although more could be. */
  idles(inFlight: number): void {
    this.#idleUntil = this.#delivered + Math.max(1, inFlight);
  }

  delivers(now: number, delivery: Delivery): void {
    const { bytes, departure, rttMs, inFlight } = delivery;
    this.#roundLost += delivery.lost;
    this.#room = Math.max(LEAST_FLIGHT_BYTES, delivery.room);
    if (rttMs !== undefined) this.#measureRtt(now, rttMs);
    if (bytes > 0) {
      this.#delivered += bytes;
      this.#deliveredAt = now;
      if (departure) this.#measureRate(departure);
    }
    this.#turn(now, inFlight);
    this.#bound(now, bytes);
  }

  /** Nothing came back for long: begin again, from what is known of the rate, with little under way. */
  stalls(): void {
    this.#flight = LEAST_FLIGHT_BYTES;
  }

  get #gain(): number {
    if (this.#probeEnds > 0) return PROBE_RTT_GAIN;
    if (this.#phase === 'startup') return STARTUP_GAIN;
    if (this.#phase === 'drain') return 1 / STARTUP_GAIN;
    return CYCLE_GAINS[this.#cycle] ?? 1;
  }

  #measureRtt(now: number, rttMs: number): void {
    this.#trip.measured(rttMs);
    this.#queued = rttMs > this.#leastRtt * QUEUE_FACTOR + SLACK_MS;
    if (this.#probeEnds > 0) this.#probed = Math.min(this.#probed, rttMs);
    if (rttMs > this.#leastRtt) return;
    this.#leastRtt = rttMs;
    this.#leastAt = now;
  }

  #measureRate(departure: Departure): void {
    this.#firstAt = departure.at;
    // What seemed lost and was not is reported sooner than it could be: that is no round.
    const long = this.#deliveredAt - this.#roundAt >= this.#leastRtt;
    if (long && departure.delivered >= this.#roundEnds) this.#newRound(departure.idle);
    const took = Math.max(departure.at - departure.firstAt, this.#deliveredAt - departure.deliveredAt);
    // Faster than any round trip: what arrived before was only reported late.
    if (took <= 0 || took < this.#leastRtt) return;
    const rate = (this.#delivered - departure.delivered) / took;
    const newest = this.#rates.length - 1;
    if (departure.idle && rate < this.#best) return;
    this.#rates[newest] = Math.max(this.#rates[newest] ?? 0, rate);
    this.#best = Math.max(this.#best, rate);
  }

  #newRound(idle: boolean): void {
    const lossy = this.#roundLost > STARTUP_LOSS * (this.#delivered - this.#roundBegan);
    this.#roundBegan = this.#delivered;
    this.#roundAt = this.#deliveredAt;
    this.#roundLost = 0;
    this.#roundEnds = this.#delivered;
    const rate = this.#best;
    if (this.#phase === 'startup' && !idle) {
      if (rate >= this.#fullRate * FULL_GROWTH) {
        this.#fullRate = rate;
        this.#fullRounds = 0;
      } else {
        this.#fullRounds += 1;
        if (lossy || this.#fullRounds >= FULL_ROUNDS) this.#phase = 'drain';
      }
    }
    // Where nothing was learned (there was little to send, say) nothing is forgotten.
    if (this.#rates.at(-1) === 0) return;
    this.#rates.push(0);
    if (this.#rates.length > RATE_ROUNDS) this.#rates.shift();
    this.#best = Math.max(...this.#rates);
  }

  #turn(now: number, inFlight: number): void {
    const holds = this.#holds(1);
    if (this.#phase === 'drain' && inFlight <= holds) {
      this.#phase = 'cycle';
      this.#cycle = 2;
      this.#cycleAt = now;
    }
    if (this.#phase === 'cycle') {
      const gain = CYCLE_GAINS[this.#cycle] ?? 1;
      const long = now - this.#cycleAt > Math.max(this.#leastRtt, SLACK_MS);
      if (long || (gain < 1 && inFlight <= holds)) {
        this.#cycle = (this.#cycle + 1) % CYCLE_GAINS.length;
        this.#cycleAt = now;
        if (this.#cycle === 0) this.#rise();
      }
    }
    if (this.#probeEnds > 0 && now >= this.#probeEnds) {
      this.#probeEnds = 0;
      this.#leastAt = now;
      if (Number.isFinite(this.#probed)) this.#leastRtt = this.#probed;
    } else if (this.#probeEnds === 0 && now - this.#leastAt > LEAST_RTT_MS) {
      this.#probeEnds = now + Math.max(PROBE_RTT_MS, 2 * this.#leastRtt);
      this.#probed = Number.POSITIVE_INFINITY;
    }
  }

  /** At the end of a cycle: a rate that was far too low is not to be raised by a quarter at a time. */
  #rise(): void {
    const more = this.#best >= this.#bestBefore * RISE && !this.#queued;
    this.#rises = more ? this.#rises + 1 : 0;
    this.#bestBefore = this.#best;
    if (this.#rises < RISES) return;
    this.#rises = 0;
    this.#phase = 'startup';
    this.#fullRate = this.#best;
    this.#fullRounds = 0;
  }

  #holds(gain: number): number {
    return Number.isFinite(this.#leastRtt) ? this.#best * (gain * this.#leastRtt + SLACK_MS) : 0;
  }

  #bound(now: number, bytes: number): void {
    const gain = this.#phase === 'startup' ? STARTUP_GAIN : this.#queued ? QUEUE_FLIGHT_GAIN : FLIGHT_GAIN;
    const wanted = Math.max(INITIAL_FLIGHT_BYTES, this.#holds(gain));
    const room = this.#holds(QUEUE_FLIGHT_GAIN) + this.#room;
    const most = Math.min(VOLLEY_FLIGHT_BYTES, room);
    const grown = this.#flight + bytes;
    this.#flight = Math.max(LEAST_FLIGHT_BYTES, Math.min(grown, wanted, most));
    if (now < this.#probeEnds)
      this.#flight = Math.max(LEAST_FLIGHT_BYTES, Math.min(this.#flight, this.#holds(1)));
  }
}
