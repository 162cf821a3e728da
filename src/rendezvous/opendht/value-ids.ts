/**
 * Ids of invitations: unix seconds, as plexus counts them (spec d), and one more than the last where that second has
 * one already. A plexus acceptor takes no id below its own start, nor one that is not above the peer's last.
 */
export class ValueIds {
  #last = 0n;

  next(now: Date): bigint {
    const second = unixSecond(now);
    this.#last = second > this.#last ? second : this.#last + 1n;
    return this.#last;
  }
}

export function unixSecond(at: Date): bigint {
  return BigInt(Math.max(1, Math.floor(at.getTime() / 1000)));
}

/** One for the process: two sessions of one process may invite the same peer in the same second. */
export const PROCESS_VALUE_IDS = new ValueIds();
