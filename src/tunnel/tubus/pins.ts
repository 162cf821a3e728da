import { TUBUS_PINS_MAX } from '../../wire/tubus-constants.js';

/**
 * Which pin is the peer's. The connecting side learns it from a link-echo, the accepting side from a link that a
 * later packet under the same pin confirms: a forged link alone neither locks the true peer out nor moves an edge.
 */
export class Pins {
  #peer: number | undefined;
  /** Pins of links, with the edge that came along. */
  readonly #offered = new Map<number, number>();

  get known(): boolean {
    return this.#peer !== undefined;
  }

  isPeer(pin: number): boolean {
    return this.#peer === pin;
  }

  learn(pin: number): void {
    this.#peer = pin;
    this.#offered.clear();
  }

  /** A link under `pin`; false if too many others are open. */
  offer(pin: number, edge: number): boolean {
    if (!this.#offered.has(pin) && this.#offered.size >= TUBUS_PINS_MAX) return false;
    this.#offered.set(pin, Math.max(edge, this.#offered.get(pin) ?? 0));
    return true;
  }

  /** The edge offered under `pin`, which becomes the peer's; undefined if no link came under it. */
  confirm(pin: number): number | undefined {
    const edge = this.#offered.get(pin);
    if (edge !== undefined) this.learn(pin);
    return edge;
  }
}
