import type { Endpoint } from '../util/endpoint.js';
import { PORT_MAX, PORT_MIN, WIDE_RETRY_MS } from './limits.js';
import type { Attempt, Plan, Rung } from './plan.js';

/** One opener that is due; without `ttl` it is meant to arrive. */
export interface Opener {
  readonly rung: Rung;
  readonly socket: number;
  readonly to: Endpoint;
  readonly ttl?: number;
  readonly wide: boolean;
}

export interface ScheduleOptions {
  /** Asked before the first datagram of a wide attempt; later again if the answer was no. */
  readonly admitWide: () => boolean;
  readonly random: (bytes: number) => Buffer;
}

const NEVER = Number.POSITIVE_INFINITY;
/** After a pause of the whole process what was missed is not sent in one burst. */
const CATCH_UP_MS = 20;

/** Says which openers of a plan are due. Times are milliseconds of the caller's clock. */
export class OpenerSchedule {
  readonly #runs: Run[];
  readonly #options: ScheduleOptions;
  #wide: 'unasked' | 'admitted' = 'unasked';

  constructor(plan: Plan, options: ScheduleOptions, start: number) {
    this.#options = options;
    const ports = new Ports(options.random);
    this.#runs = plan.attempts.map((attempt) => new Run(attempt, ports, start));
  }

  /** The openers that are due at `now`; each is handed out once. */
  due(now: number): Opener[] {
    const out: Opener[] = [];
    for (const run of this.#runs) {
      if (run.next > now) continue;
      if (run.wide && !this.#admitted()) run.postpone(now + WIDE_RETRY_MS);
      else run.take(now, out);
    }
    return out;
  }

  get next(): number {
    let at = NEVER;
    for (const run of this.#runs) at = Math.min(at, run.next);
    return at;
  }

  #admitted(): boolean {
    if (this.#wide === 'unasked' && this.#options.admitWide()) this.#wide = 'admitted';
    return this.#wide === 'admitted';
  }
}

/** One attempt on its way through its waves. */
class Run {
  next: number;
  readonly #attempt: Attempt;
  readonly #ports: Ports;
  #origin: number;
  /** Size of a wave, place in it, and number of the wave. */
  readonly #size: number;
  #at = 0;
  #wave = 0;
  #sent = 0;

  constructor(attempt: Attempt, ports: Ports, start: number) {
    this.#attempt = attempt;
    this.#ports = ports;
    this.#origin = start + attempt.startMs;
    this.#size = attempt.sockets * portCount(attempt);
    this.next = this.#size === 0 || attempt.packets === 0 ? NEVER : this.#waveAt(0, start);
  }

  get wide(): boolean {
    return this.#attempt.wide;
  }

  postpone(until: number): void {
    this.#origin += until - this.next;
    this.next = until;
  }

  take(now: number, out: Opener[]): void {
    const { packets, gapMs } = this.#attempt;
    while (this.next <= now) {
      out.push(this.#opener());
      this.#sent += 1;
      this.#at += 1;
      if (this.#sent >= packets) this.next = NEVER;
      else if (this.#at < this.#size) this.next = Math.max(this.next + gapMs, now - CATCH_UP_MS);
      else {
        this.#at = 0;
        this.#wave += 1;
        this.next = this.#waveAt(this.#wave, now);
      }
    }
  }

  /** A wave that should have begun already begins at its proper distance from now. */
  #waveAt(wave: number, now: number): number {
    const { wavesMs, everyMs } = this.#attempt;
    const planned = wavesMs[wave];
    if (planned !== undefined && (wave === 0 || this.#origin + planned > now)) return this.#origin + planned;
    if (planned !== undefined) return now + planned - (wavesMs[wave - 1] ?? 0);
    return everyMs === undefined ? NEVER : now + everyMs;
  }

  #opener(): Opener {
    const { rung, socket, sockets, target, ttl, wide } = this.#attempt;
    const index = this.#at % sockets;
    const which = Math.floor(this.#at / sockets);
    let to: Endpoint;
    if (target.kind === 'endpoint') to = target.endpoint;
    else if (target.kind === 'ports') to = { address: target.address, port: target.ports[which] ?? 0 };
    else to = { address: target.address, port: this.#ports.draw() };
    return { rung, socket: socket + index, to, wide, ...(ttl !== undefined && { ttl }) };
  }
}

function portCount({ target }: Attempt): number {
  if (target.kind === 'endpoint') return 1;
  return target.kind === 'ports' ? target.ports.length : target.count;
}

/** Random ports, none twice before all were drawn: a step that shares no factor with their number visits each. */
class Ports {
  readonly #random: (bytes: number) => Buffer;
  #at: number | undefined;
  #step = 1;

  constructor(random: (bytes: number) => Buffer) {
    this.#random = random;
  }

  draw(): number {
    const count = PORT_MAX - PORT_MIN + 1;
    if (this.#at === undefined) {
      const bytes = this.#random(8);
      this.#at = bytes.readUInt32BE(0) % count;
      this.#step = 1 + (bytes.readUInt32BE(4) % (count - 1));
      while (gcd(this.#step, count) > 1) this.#step = (this.#step % (count - 1)) + 1;
    } else this.#at = (this.#at + this.#step) % count;
    return PORT_MIN + this.#at;
  }
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
