/**
 * Ids of the values that this process puts: unix seconds, as plexus counts them (spec d), and one more than the last
 * under the same key where that second has one already. A plexus acceptor takes no id below its own start, nor one
 * that is not above the peer's last.
 */
export class ValueIds {
  /** The last id by key, as long as it is not in the past. */
  readonly #last = new Map<string, bigint>();

  /** @param ahead how many ids to leave out */
  next(key: Uint8Array, now: Date, ahead = 0): bigint {
    const second = unixSecond(now);
    for (const [other, last] of this.#last) if (last < second) this.#last.delete(other);
    const name = Buffer.from(key).toString('hex');
    const id = (this.#last.get(name) ?? second - 1n) + 1n + BigInt(ahead);
    this.#last.set(name, id);
    return id;
  }
}

/** The id proper is in the low half: unix seconds have room there until 2106. */
const HALF = 32n;

/**
 * Another id for an answer where somebody has taken that of its invitation: the high half is random, so that it
 * cannot be taken too. A plexus inviter does not look there, an awl one does.
 */
export function sideId(id: bigint, random: number): bigint {
  return baseId(id) + ((BigInt(random % 0x7fff_ffff) + 1n) << HALF);
}

/** The id that {@link sideId} was made from. */
export function baseId(id: bigint): bigint {
  return BigInt.asUintN(Number(HALF), id);
}

export function unixSecond(at: Date): bigint {
  return BigInt(Math.max(1, Math.floor(at.getTime() / 1000)));
}

/** One for the process: two sessions of one process may invite the same peer in the same second. */
export const PROCESS_VALUE_IDS = new ValueIds();
