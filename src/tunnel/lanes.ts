import { TUNNEL_LANE_BYTES, TUNNEL_LANES_AHEAD_BYTES } from '../wire/tunnel-limits.js';

/** Divides a stream among lanes in turn: TUNNEL_LANE_BYTES for the first, as many for the next, and so on. */
export class LaneDivider {
  readonly #lanes: number;
  #lane = 0;
  #room = TUNNEL_LANE_BYTES;

  constructor(lanes: number) {
    this.#lanes = lanes;
  }

  /** The pieces of what comes next, and whose they are. */
  *divide(data: Uint8Array): Generator<{ readonly lane: number; readonly piece: Uint8Array }, void> {
    let at = 0;
    while (at < data.length) {
      const piece = data.subarray(at, at + this.#room);
      yield { lane: this.#lane, piece };
      at += piece.length;
      this.#room -= piece.length;
      if (this.#room > 0) continue;
      this.#room = TUNNEL_LANE_BYTES;
      this.#lane = (this.#lane + 1) % this.#lanes;
    }
  }
}

/** Puts together what {@link LaneDivider} divided; each lane keeps its own order. */
export class LaneGatherer {
  readonly #arrived: Uint8Array[][];
  #lane = 0;
  #room = TUNNEL_LANE_BYTES;
  #held = 0;

  constructor(lanes: number) {
    this.#arrived = Array.from({ length: lanes }, () => []);
  }

  /** Bytes that wait for what belongs before them. */
  get held(): number {
    return this.#held;
  }

  /**
   * Yields what is in order now.
   * @throws RangeError if one lane runs further ahead of another than an honest sender can
   */
  *add(lane: number, piece: Uint8Array): Generator<Uint8Array, void> {
    this.#arrived[lane]?.push(piece);
    this.#held += piece.length;
    for (;;) {
      const waiting = this.#arrived[this.#lane];
      const next = waiting?.[0];
      if (!waiting || !next) break;
      const whole = next.length <= this.#room;
      const taken = whole ? next : next.subarray(0, this.#room);
      if (whole) waiting.shift();
      else waiting[0] = next.subarray(this.#room);
      this.#held -= taken.length;
      this.#room -= taken.length;
      if (this.#room === 0) {
        this.#room = TUNNEL_LANE_BYTES;
        this.#lane = (this.#lane + 1) % this.#arrived.length;
      }
      yield taken;
    }
    if (this.#held > TUNNEL_LANES_AHEAD_BYTES) throw new RangeError('one lane runs away from the others');
  }
}
