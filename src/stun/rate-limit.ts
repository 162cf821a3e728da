interface Bucket {
  tokens: number;
  at: number;
}

export interface RateLimitOptions {
  /** Requests a source may make at once. */
  readonly burst: number;
  /** Requests a second that it may make for ever. */
  readonly perSecond: number;
  /** Sources remembered; beyond that the one heard of longest ago is forgotten. */
  readonly maxSources: number;
}

/** A token bucket a source. Pure: the caller brings the time, in milliseconds of any monotonic clock. */
export class RateLimit {
  readonly #options: RateLimitOptions;
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: RateLimitOptions) {
    this.#options = options;
  }

  /** True if one more request of `source` may be answered at `now`. */
  admit(source: string, now: number): boolean {
    const { burst, perSecond, maxSources } = this.#options;
    const old = this.#buckets.get(source);
    const tokens = old ? Math.min(burst, old.tokens + ((now - old.at) * perSecond) / 1000) : burst;
    const allowed = tokens >= 1;
    // Deleting first moves the source to the end of the map: the front is the longest unheard of.
    this.#buckets.delete(source);
    this.#buckets.set(source, { tokens: allowed ? tokens - 1 : tokens, at: now });
    if (this.#buckets.size > maxSources) {
      const [eldest] = this.#buckets.keys();
      if (eldest !== undefined) this.#buckets.delete(eldest);
    }
    return allowed;
  }

  get sources(): number {
    return this.#buckets.size;
  }
}
