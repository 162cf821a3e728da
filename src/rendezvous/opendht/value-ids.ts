/**
 * Ids of the values that this process puts: unix seconds, as plexus counts them (spec d), and one more than the last
 * under the same key where that second has one already. A plexus acceptor takes no id below its own start, nor one
 * that is not above the peer's last.
 */
export class ValueIds {
  /** The last id by key, as long as it is not in the past. */
  readonly #last = new Map<string, bigint>();

  next(key: Uint8Array, now: Date): bigint {
    const second = unixSecond(now);
    for (const [other, last] of this.#last) if (last < second) this.#last.delete(other);
    const name = Buffer.from(key).toString('hex');
    const id = (this.#last.get(name) ?? second - 1n) + 1n;
    this.#last.set(name, id);
    return id;
  }
}

export function unixSecond(at: Date): bigint {
  return BigInt(Math.max(1, Math.floor(at.getTime() / 1000)));
}

/** One for the process: two sessions of one process may invite the same peer in the same second. */
export const PROCESS_VALUE_IDS = new ValueIds();
