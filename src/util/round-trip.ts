/** How long a round trip takes, smoothed, and how much that varies (RFC 6298 section 2); in ms. */
export class RoundTrip {
  #ms: number | undefined;
  #variation = 0;

  /** Undefined before the first measurement. */
  get ms(): number | undefined {
    return this.#ms;
  }

  get variation(): number {
    return this.#variation;
  }

  measured(ms: number): void {
    if (this.#ms === undefined) {
      this.#ms = ms;
      this.#variation = ms / 2;
      return;
    }
    this.#variation += (Math.abs(ms - this.#ms) - this.#variation) / 4;
    this.#ms += (ms - this.#ms) / 8;
  }
}
