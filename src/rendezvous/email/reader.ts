import { IMAP_BACKLOG_MAX, IMAP_SCAN_MAX, INVITE_LOOKBACK_MS, MESSAGE_MAX_BYTES } from '../../constants.js';
import { matchesName } from '../../identity/names.js';
import type { LetterFilter, LetterForm, RendezvousContext } from '../types.js';
import { Backlog } from './backlog.js';
import { type SubjectTokens, subjectOf } from './compose.js';
import { extractLetter, type MailHeaders, parseHeaders } from './extract.js';
import type { Mailbox, MailHead } from './mailbox.js';

/** From where in the mailbox messages count: UIDs above the mark, of this generation of the mailbox. */
export interface Start {
  readonly uidValidity: bigint;
  readonly mark: number;
  readonly at: Date;
}

export function startOf(mailbox: Mailbox, now: Date): Start {
  return { uidValidity: mailbox.uidValidity, mark: mailbox.uidNext - 1, at: now };
}

/** A mail that passed the filter, and what was sealed in it. */
export interface FoundLetter {
  readonly head: MailHead;
  readonly headers: MailHeaders;
  readonly form: LetterForm;
  readonly bytes: Uint8Array;
}

/**
 * Finds the letters of one filter in a mailbox, over as many connections as it takes. Of a mail it reads first the size,
 * then five header fields, and the text only if those fit; each mail once.
 */
export class LetterReader {
  readonly #filter: LetterFilter;
  readonly #subject: string;
  readonly #ctx: RendezvousContext;
  #backlog: Backlog | undefined;

  /** @throws AwlError USAGE_BAD_VALUE for an app that cannot stand in a subject */
  constructor(filter: LetterFilter, tokens: SubjectTokens, ctx: RendezvousContext) {
    this.#filter = filter;
    this.#subject = subjectOf(filter.app, filter.kind, tokens);
    this.#ctx = ctx;
  }

  /**
   * Yields what is new since the last call, or for the first call since `start` (default: now).
   * @throws AwlError RENDEZVOUS_UNREACHABLE when the connection fails; what was not yielded comes with the next call
   */
  async *read(mailbox: Mailbox, start: Start | undefined): AsyncGenerator<FoundLetter, void> {
    if (this.#backlog?.uidValidity !== mailbox.uidValidity) {
      this.#backlog = await this.#begin(mailbox, start);
    }
    const backlog = this.#backlog;
    await this.#takeIn(mailbox, backlog);
    for (;;) {
      const batch = backlog.next(IMAP_SCAN_MAX);
      if (batch.length === 0) return;
      const wanted = await this.#judge(mailbox, backlog, batch);
      for (const { head, headers } of wanted) {
        const text = await this.#blaming(backlog, [head.uid], () => mailbox.text(head.uid));
        backlog.settle([head.uid]);
        const letter = text && extractLetter(text, headers.contentType, headers.contentFields);
        if (letter) yield { head, headers, ...letter };
        else this.#ctx.log.debug(`mail ${head.uid} has the right headers but nothing sealed in it`);
      }
      // Mail that came meanwhile goes before an old backlog.
      if (mailbox.news) await this.#takeIn(mailbox, backlog);
    }
  }

  /** The first backlog, or the one after the server renumbered the mailbox. */
  async #begin(mailbox: Mailbox, start: Start | undefined): Promise<Backlog> {
    const { uidValidity } = mailbox;
    const renumbered = this.#backlog !== undefined || (start && start.uidValidity !== uidValidity);
    const { mark, at } = start && !renumbered ? start : startOf(mailbox, this.#ctx.now());
    const backlog = new Backlog(uidValidity, mark, IMAP_BACKLOG_MAX);
    if (renumbered) {
      this.#ctx.log.warning('the mail server renumbered the mailbox; going on from its newest mail');
    } else if (this.#filter.kind === 'invite') {
      // Whoever sent an invitation just before we began is still waiting for the answer.
      const since = at.getTime() - INVITE_LOOKBACK_MS;
      const newest = await mailbox.newest(IMAP_SCAN_MAX);
      const waiting = ({ uid, arrivedAt }: MailHead) =>
        uid <= mark && arrivedAt !== undefined && arrivedAt.getTime() >= since;
      backlog.add(newest.filter(waiting));
    }
    return backlog;
  }

  async #takeIn(mailbox: Mailbox, backlog: Backlog): Promise<void> {
    const { heads, dropped } = await mailbox.list(backlog.mark, IMAP_BACKLOG_MAX);
    const passed = dropped + backlog.add(heads);
    if (passed > 0) this.#ctx.log.warning(`${passed} mails passed over: the mailbox is being flooded`);
  }

  /** Reads sizes and headers of a batch; settles all but the mails whose text is wanted. */
  async #judge(mailbox: Mailbox, backlog: Backlog, batch: readonly MailHead[]) {
    const small = batch.filter(({ bytes }) => bytes <= MESSAGE_MAX_BYTES).map(({ uid }) => uid);
    const found = await this.#blaming(backlog, small, () => mailbox.headers(small));
    const wanted = batch.flatMap((head) => {
      const raw = found.get(head.uid);
      const headers = raw && parseHeaders(raw);
      return headers && this.#fits(headers) ? [{ head, headers }] : [];
    });
    const keep = new Set(wanted.map(({ head }) => head.uid));
    backlog.settle(batch.map(({ uid }) => uid).filter((uid) => !keep.has(uid)));
    return wanted;
  }

  async #blaming<T>(backlog: Backlog, uids: readonly number[], run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      const given = backlog.blame(uids);
      if (given.length > 0)
        this.#ctx.log.warning(`mail ${given.join(', ')} passed over: reading it fails each time`);
      throw error;
    }
  }

  /** Exact comparison on our side, as plexus 3.4: a server's SEARCH finds substrings (spec i.1). */
  #fits(mail: MailHeaders): boolean {
    const { from, to } = this.#filter;
    return mail.subject === this.#subject && matchesName(mail.from, from) && matchesName(mail.to, to);
  }
}
