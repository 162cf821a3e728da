import { TUBUS_LIMITS, type TubusLimits } from '../../src/tunnel/tubus/limits.js';
import { TubusMachine } from '../../src/tunnel/tubus/machine.js';
import type { TubusRole } from '../../src/tunnel/tubus/types.js';
import { decodeTubus, encodeTubus, type TubusPacket } from '../../src/wire/tubus.js';

export interface LinkManners {
  /** Shares of datagrams, 0 to 1. */
  readonly loss?: number;
  readonly duplication?: number;
  readonly reorder?: number;
  /** One way, ms. */
  readonly delayMs?: number;
  readonly seed?: number;
}

/** A small generator of its own, so that a failed run can be repeated from its seed. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 0x1_0000_0000;
  };
}

interface Flight {
  readonly at: number;
  readonly to: TubusRole;
  readonly wire: Buffer;
}

/** Two machines on a simulated link and clock. What the `accept` and `connect` sides read is collected. */
export class TubusPair {
  now = 1_000_000;
  readonly sides: Readonly<Record<TubusRole, TubusMachine>>;
  readonly got: Record<TubusRole, Buffer[]> = { connect: [], accept: [] };
  readonly reading: Record<TubusRole, boolean> = { connect: true, accept: true };
  /** Called for each datagram; false loses it. */
  passes: (to: TubusRole, packet: TubusPacket) => boolean = () => true;
  datagrams = 0;
  readonly #flights: Flight[] = [];
  readonly #manners: Required<LinkManners>;
  readonly #random: () => number;
  readonly #pins = { connect: 11, accept: 22 } as const;

  constructor(manners: LinkManners = {}, limits: Partial<TubusLimits> = {}) {
    this.#manners = { loss: 0, duplication: 0, reorder: 0, delayMs: 5, seed: 1, ...manners };
    this.#random = randomFrom(this.#manners.seed);
    const all = { ...TUBUS_LIMITS, ...limits };
    this.sides = {
      connect: new TubusMachine('connect', all, this.now),
      accept: new TubusMachine('accept', all, this.now),
    };
  }

  #pump(role: TubusRole): void {
    const machine = this.sides[role];
    const to = role === 'connect' ? 'accept' : 'connect';
    for (const sections of machine.poll(this.now)) {
      this.datagrams += 1;
      const wire = encodeTubus({ pin: this.#pins[role], sections }, 9n, BigInt(this.datagrams));
      const { loss, duplication, reorder, delayMs } = this.#manners;
      const packet = decodeTubus(wire, 9n);
      if (!packet || !this.passes(to, packet)) continue;
      const copies = this.#random() < duplication ? 2 : 1;
      for (let copy = 0; copy < copies; copy++) {
        if (this.#random() < loss) continue;
        const late = this.#random() < reorder ? this.#random() * 3 * delayMs : 0;
        this.#flights.push({ at: this.now + delayMs + late, to, wire });
      }
    }
  }

  inject(to: TubusRole, wire: Buffer): void {
    const packet = decodeTubus(wire, 9n);
    if (packet) this.sides[to].receive(packet, this.now);
  }

  /** Advances by one event; false if nothing will ever happen. */
  step(done: () => boolean = () => false): boolean {
    for (const role of ['connect', 'accept'] as const) {
      if (this.reading[role]) this.got[role].push(...(this.sides[role].read() ?? []));
      this.#pump(role);
    }
    if (done()) return true;
    this.#flights.sort((a, b) => a.at - b.at);
    const next = Math.min(
      this.#flights[0]?.at ?? Number.POSITIVE_INFINITY,
      this.sides.connect.wakeAt,
      this.sides.accept.wakeAt,
    );
    if (next === Number.POSITIVE_INFINITY) return false;
    this.now = Math.max(next, this.now);
    while (this.#flights[0] && this.#flights[0].at <= this.now) {
      const { to, wire } = this.#flights.shift() as Flight;
      const packet = decodeTubus(wire, 9n);
      if (packet) this.sides[to].receive(packet, this.now);
    }
    return true;
  }

  /** Until `done` says so; false if it did not within `ms` of simulated time. */
  runUntil(done: () => boolean, ms = 600_000): boolean {
    const limit = this.now + ms;
    while (!done()) {
      if (!this.step(done) || this.now > limit) return done();
    }
    return true;
  }

  run(ms: number): void {
    this.runUntil(() => false, ms);
  }

  link(): void {
    if (!this.runUntil(() => this.sides.connect.linked && this.sides.accept.linked)) {
      throw new Error('the two do not link');
    }
  }

  text(role: TubusRole): Buffer {
    return Buffer.concat(this.got[role]);
  }
}
