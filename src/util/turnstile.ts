/** Lets so many through at once; others wait, the first to come first. */
export class Turnstile {
  readonly #places: number;
  #taken = 0;
  #waiting: (() => void)[] = [];

  constructor(places: number) {
    this.#places = places;
  }

  /**
   * Runs `act` when there is a place.
   * @throws the signal's reason if it aborts before; whatever `act` throws
   */
  async run<T>(act: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    if (this.#taken >= this.#places) await this.#turn(signal);
    else this.#taken += 1;
    try {
      return await act();
    } finally {
      const next = this.#waiting.shift();
      // The place goes to the one who waits, without becoming free in between.
      if (next) next();
      else this.#taken -= 1;
    }
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting = this.#waiting.filter((one) => one !== enter);
        reject(signal.reason);
      };
      const enter = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      this.#waiting.push(enter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}
