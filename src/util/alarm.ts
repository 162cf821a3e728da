/** One timer for several deadlines of the monotonic clock: it only ever moves to the front, and whoever is called looks anew. */
export class Alarm {
  readonly #call: () => void;
  #timer: NodeJS.Timeout | undefined;
  #at = Number.POSITIVE_INFINITY;

  constructor(call: () => void) {
    this.#call = call;
  }

  /** Calls not later than at the first of these, of which some may be none. */
  by(...deadlines: readonly (number | undefined)[]): void {
    const at = Math.min(...deadlines.map((one) => one ?? Number.POSITIVE_INFINITY));
    if (at === Number.POSITIVE_INFINITY || (this.#timer && this.#at <= at)) return;
    clearTimeout(this.#timer);
    this.#at = at;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#call();
      },
      Math.max(1, at - performance.now()),
    );
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
