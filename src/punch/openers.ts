import {
  LOW_TTL_AT_MS,
  MAPPING_REFRESH_MS,
  OPENER_GAPS_MS,
  PLEXUS_SLOT_MS,
  SWAP_AFTER_MS,
  SWAP_EARLY_MS,
} from '../constants.js';
import type { PunchRole } from '../wire/confirm.js';

export interface OpenerPlan {
  readonly role: PunchRole;
  /** IP TTL of the acceptor's quiet openers: out of the own NAT, not into the peer's. */
  readonly hops: number;
  /** The own NAT is known to choose a new port for other destinations. */
  readonly moving: boolean;
}

/** One opener that is due; without `ttl` it is meant to arrive. */
export interface Opener {
  readonly ttl?: number;
}

/**
 * When which flag-0 frame goes to the announced endpoint. The inviter knocks with datagrams that arrive; the acceptor
 * first only opens its own NAT, because a NAT that sees the peer's datagram too early may map it away (spec i.10),
 * and later knocks itself, because its mapping may be another one toward this peer.
 */
export class OpenerSchedule {
  readonly #plan: OpenerPlan;
  readonly #start: number;
  #quietAt: number;
  #quietCount = 0;
  #loudAt: number;
  #loudCount = 0;

  constructor(plan: OpenerPlan, start: number) {
    this.#plan = plan;
    this.#start = start;
    this.#quietAt = plan.role === 'accept' ? start : Number.POSITIVE_INFINITY;
    this.#loudAt = plan.role === 'invite' ? start : start + (plan.moving ? SWAP_EARLY_MS : SWAP_AFTER_MS);
  }

  /** The openers that are due at `now`; each is handed out once. */
  due(now: number): Opener[] {
    const out: Opener[] = [];
    if (now >= this.#quietAt) {
      out.push({ ttl: this.#plan.hops });
      this.#quietCount += 1;
      const planned = this.#start + (LOW_TTL_AT_MS[this.#quietCount] ?? 0);
      // After a pause of the whole process what was missed is not sent in one burst.
      this.#quietAt = planned > now ? planned : now + MAPPING_REFRESH_MS;
    }
    if (now >= this.#loudAt) {
      out.push({});
      const gap = this.#plan.role === 'invite' ? OPENER_GAPS_MS[this.#loudCount] : undefined;
      this.#loudAt = now + (gap ?? PLEXUS_SLOT_MS);
      this.#loudCount += 1;
    }
    return out;
  }

  get next(): number {
    return Math.min(this.#quietAt, this.#loudAt);
  }
}
