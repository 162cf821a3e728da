import type { MailHead } from './mailbox.js';

/** How often a mail may be at hand when a connection breaks before it is passed over. */
const STRIKES = 3;

/**
 * Which mails of one mailbox generation (UIDVALIDITY) still have to be looked at; no clock, no connection.
 *
 * Every UID above the mark gets its look. The newest batch goes first, so that a good mail that arrives behind a flood
 * does not wait for it; the older ones follow, none is left out. Mails at hand when the connection broke are suspects
 * and are then looked at alone, so that one poisonous mail is found out and cannot hold up the others.
 */
export class Backlog {
  readonly uidValidity: bigint;
  readonly #max: number;
  #mark: number;
  #pending: MailHead[] = [];
  readonly #strikes = new Map<number, number>();

  constructor(uidValidity: bigint, mark: number, max: number) {
    this.uidValidity = uidValidity;
    this.#mark = mark;
    this.#max = max;
  }

  /** Highest UID that is known. */
  get mark(): number {
    return this.#mark;
  }

  get size(): number {
    return this.#pending.length;
  }

  /** Takes in heads (ascending UIDs); returns how many old ones had to go to keep within the maximum. */
  add(heads: readonly MailHead[]): number {
    for (const { uid } of heads) this.#mark = Math.max(this.#mark, uid);
    const known = new Set(this.#pending.map(({ uid }) => uid));
    this.#pending.push(...heads.filter(({ uid }) => !known.has(uid)));
    this.#pending.sort((a, b) => a.uid - b.uid);
    const dropped = Math.max(0, this.#pending.length - this.#max);
    this.#pending.splice(0, dropped);
    return dropped;
  }

  /** The newest mails, at most `max`, in order of arrival; a suspect comes alone. They stay until settled. */
  next(max: number): readonly MailHead[] {
    const batch: MailHead[] = [];
    for (let i = this.#pending.length - 1; i >= 0 && batch.length < max; i--) {
      const head = this.#pending[i];
      if (head === undefined) break;
      const suspect = this.#strikes.has(head.uid);
      if (suspect && batch.length > 0) break;
      batch.unshift(head);
      if (suspect) break;
    }
    return batch;
  }

  /** These were looked at. */
  settle(uids: Iterable<number>): void {
    const done = new Set(uids);
    this.#pending = this.#pending.filter(({ uid }) => !done.has(uid));
    for (const uid of done) this.#strikes.delete(uid);
  }

  /** The connection broke while these were at hand; returns the ones that are passed over from now on. */
  blame(uids: readonly number[]): number[] {
    for (const uid of uids)
      this.#strikes.set(uid, (this.#strikes.get(uid) ?? 0) + (uids.length === 1 ? 1 : 0));
    const given = uids.filter((uid) => (this.#strikes.get(uid) ?? 0) >= STRIKES);
    this.settle(given);
    return given;
  }
}
