import { createHash } from 'node:crypto';
import { INVITE_LOOKBACK_MS, OPENDHT_SEEN_MAX } from '../../constants.js';
import { isAwlError } from '../../errors.js';
import { type IdentityName, isComplete } from '../../identity/names.js';
import { type DhtValue, decodeDat } from '../../wire/opendht-value.js';
import type { Envelope, LetterFilter } from '../types.js';
import { baseId, unixSecond } from './value-ids.js';

export interface GateOptions {
  readonly filter: LetterFilter;
  /** Our own name and key: where the letters lie says nothing more about their recipient. */
  readonly to: IdentityName;
  readonly toKey: Uint8Array;
  /** When the rendezvous was prepared. */
  readonly since: Date;
  /** Ids of our own invitations, where answers are awaited; while there are none, any new id will do. */
  readonly invited: ReadonlySet<bigint>;
}

/**
 * Which of the values under a key are letters for one listener, each once. It keeps the flood away from the seal and
 * proves nothing: the owner is a claim until the signature is verified.
 */
export class LetterGate {
  readonly #options: GateOptions;
  readonly #from: IdentityName | undefined;
  /** Digests of what was let in, oldest first: every node brings the same value. */
  readonly #seen = new Set<string>();

  constructor(options: GateOptions) {
    this.#options = options;
    const { from, fromKey } = options.filter;
    this.#from = fromKey && isComplete(from) ? { owner: from.owner, pin: from.pin } : undefined;
  }

  /** The letter in a value, or undefined if it is none for us, or was here before. */
  admit(value: DhtValue, now: Date): Envelope | undefined {
    const { filter, to, toKey } = this.#options;
    if (!this.#isNew(value.id)) return undefined;
    const owner = ownerOf(value.dat);
    if (!owner || (filter.fromKey && !owner.equals(filter.fromKey))) return undefined;
    const digest = createHash('sha256').update(`${value.id} `).update(value.dat).digest('base64');
    if (this.#seen.has(digest)) return undefined;
    this.#seen.add(digest);
    for (const oldest of this.#seen) {
      if (this.#seen.size <= OPENDHT_SEEN_MAX) break;
      this.#seen.delete(oldest);
    }
    return {
      app: filter.app,
      kind: filter.kind,
      ...(this.#from && { from: this.#from }),
      to,
      form: 'opendht',
      bytes: value.dat,
      toKey,
      fromKey: owner,
      id: String(value.id),
      receivedAt: now,
      // There is no way to take a value out of the DHT: nodes forget it after ten minutes.
      ack: async () => {},
    };
  }

  /** Answers bear the id of what they answer; the sender of an invitation that is a minute old still waits. */
  #isNew(id: bigint): boolean {
    const { filter, since, invited } = this.#options;
    if (filter.kind === 'invite') return id >= unixSecond(new Date(since.getTime() - INVITE_LOOKBACK_MS));
    return invited.size > 0 ? invited.has(baseId(id)) : id >= unixSecond(since);
  }
}

function ownerOf(dat: Buffer): Buffer | undefined {
  try {
    return decodeDat(dat).owner;
  } catch (error) {
    if (isAwlError(error)) return undefined;
    throw error;
  }
}
