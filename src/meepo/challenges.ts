import { randomBytes } from 'node:crypto';
import { CHALLENGE_MS, CHALLENGES_MAX } from './limits.js';

const NONCE_BYTES = 32;

/** The nonces that one peer was given and has not used: each is good once, for a minute. */
export class Challenges {
  readonly #now: () => number;
  /** When each ends, oldest first; by base64 text. */
  readonly #open = new Map<string, number>();

  /** @param now milliseconds of a monotonic clock */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** A new nonce; the oldest one gives way where there are too many. */
  issue(): Buffer {
    const nonce = randomBytes(NONCE_BYTES);
    const [oldest] = this.#open.keys();
    if (oldest !== undefined && this.#open.size >= CHALLENGES_MAX) this.#open.delete(oldest);
    this.#open.set(nonce.toString('base64'), this.#now() + CHALLENGE_MS);
    return nonce;
  }

  /** The nonce that a request names, which is used up by this; undefined for any other text. */
  take(text: string): Buffer | undefined {
    const end = this.#open.get(text);
    this.#open.delete(text);
    return end !== undefined && this.#now() < end ? Buffer.from(text, 'base64') : undefined;
  }
}
