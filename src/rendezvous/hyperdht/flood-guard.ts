/** A burst, and what comes back per second. */
export interface Allowance {
  readonly burst: number;
  readonly perSecond: number;
}

interface Bucket {
  tokens: number;
  at: number;
}

/** Token buckets: one for everybody together and one for each source, of which the last `sources` are remembered. */
export class FloodGuard {
  readonly #each: Allowance;
  readonly #together: Allowance;
  readonly #sources: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();
  readonly #all: Bucket;

  /** @param now milliseconds of a clock that does not jump */
  constructor(each: Allowance, together: Allowance, sources: number, now: () => number) {
    this.#each = each;
    this.#together = together;
    this.#sources = sources;
    this.#now = now;
    this.#all = { tokens: together.burst, at: now() };
  }

  /** True if one more from `source` is within bounds, which it then uses up. */
  admit(source: string): boolean {
    const now = this.#now();
    const bucket = this.#buckets.get(source) ?? { tokens: this.#each.burst, at: now };
    this.#buckets.delete(source);
    this.#buckets.set(source, bucket);
    for (const oldest of this.#buckets.keys()) {
      if (this.#buckets.size <= this.#sources) break;
      this.#buckets.delete(oldest);
    }
    // Who exceeds his own share uses up nothing of the others'.
    return spend(bucket, this.#each, now) && spend(this.#all, this.#together, now);
  }
}

function spend(bucket: Bucket, { burst, perSecond }: Allowance, now: number): boolean {
  bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * perSecond);
  bucket.at = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens--;
  return true;
}
