export interface Flow {
  readonly burst: number;
  readonly perSecond: number;
}

/** A token bucket. Pure: the caller brings the time, in milliseconds of any steady clock. */
export class Bucket {
  readonly #flow: Flow;
  #level: number;
  #at: number;

  constructor(flow: Flow, now: number) {
    this.#flow = flow;
    this.#level = flow.burst;
    this.#at = now;
  }

  /** Takes `amount` if that much is there. */
  take(amount: number, now: number): boolean {
    const { burst, perSecond } = this.#flow;
    this.#level = Math.min(burst, this.#level + (Math.max(0, now - this.#at) * perSecond) / 1000);
    this.#at = now;
    if (this.#level < amount) return false;
    this.#level -= amount;
    return true;
  }
}

/** A bucket for each of many sources; beyond the maximum the one heard of longest ago is forgotten. */
export class Buckets {
  readonly #flow: Flow;
  readonly #max: number;
  readonly #of = new Map<string, Bucket>();

  constructor(flow: Flow, max: number) {
    this.#flow = flow;
    this.#max = max;
  }

  get size(): number {
    return this.#of.size;
  }

  take(source: string, now: number): boolean {
    const bucket = this.#of.get(source) ?? new Bucket(this.#flow, now);
    this.#of.delete(source);
    this.#of.set(source, bucket);
    const [eldest] = this.#of.keys();
    if (this.#of.size > this.#max && eldest !== undefined) this.#of.delete(eldest);
    return bucket.take(1, now);
  }
}
