import { randomUUID } from 'node:crypto';
import {
  IMAP_POLL_ACCEPT_MS,
  IMAP_POLL_INVITE_MS,
  IMAP_RECHECK_MS,
  MAIL_CONNECT_MS,
  MAIL_PUSH_RETRY_MS,
  MAIL_STEP_MS,
  RECONNECT_BASE_MS,
  RECONNECT_MAX_MS,
} from '../../constants.js';
import { AwlError, errorText, isAwlError } from '../../errors.js';
import { redact } from '../../log.js';
import { backoffMs } from '../../util/backoff.js';
import { sleep } from '../../util/sleep.js';
import type { Envelope, Letter, LetterFilter, Rendezvous, RendezvousContext } from '../types.js';
import { composeMail, DEFAULT_TOKENS } from './compose.js';
import { Mailbox } from './mailbox.js';
import { type FoundLetter, LetterReader, type Start, startOf } from './reader.js';
import type { EmailSettings } from './settings.js';

/** Waits of the e-mail backend; tests shorten them. */
export interface MailTiming {
  readonly connectMs: number;
  readonly stepMs: number;
  readonly recheckMs: number;
  readonly reconnectBaseMs: number;
}

const TIMING: MailTiming = {
  connectMs: MAIL_CONNECT_MS,
  stepMs: MAIL_STEP_MS,
  recheckMs: IMAP_RECHECK_MS,
  reconnectBaseMs: RECONNECT_BASE_MS,
};

class EmailRendezvous implements Rendezvous {
  readonly name = 'email';
  readonly sealing = 'smime';
  readonly #settings: EmailSettings;
  readonly #ctx: RendezvousContext;
  readonly #timing: MailTiming;
  readonly #closing = new AbortController();
  readonly #open = new Set<Mailbox>();
  readonly #acks = new Set<Promise<void>>();
  /** A connection that no listener uses: from `prepare`, or left by a listener that ended. */
  #spare: Mailbox | undefined;
  #start: Start | undefined;

  constructor(settings: EmailSettings, ctx: RendezvousContext, timing: MailTiming) {
    this.#settings = settings;
    this.#ctx = ctx;
    this.#timing = timing;
  }

  async prepare(signal: AbortSignal): Promise<void> {
    this.#keep(undefined);
    const mailbox = await this.#connect(signal);
    this.#start = startOf(mailbox, this.#ctx.now());
    this.#keep(mailbox);
  }

  async *listen(filter: LetterFilter, signal: AbortSignal): AsyncIterable<Envelope> {
    const ended = AbortSignal.any([signal, this.#closing.signal]);
    const pollMs =
      this.#settings.pollMs ?? (filter.kind === 'invite' ? IMAP_POLL_ACCEPT_MS : IMAP_POLL_INVITE_MS);
    const { tokens = DEFAULT_TOKENS } = this.#settings;
    const reader = new LetterReader(filter, tokens, this.#ctx);
    let mailbox = this.#takeSpare();
    let failures = 0;
    try {
      while (!ended.aborted) {
        try {
          mailbox ??= await this.#connect(ended);
          const box = mailbox;
          for await (const found of reader.read(box, this.#start)) yield this.#envelope(box, found, filter);
          if (failures > 0) this.#ctx.log.info('the mailbox is back');
          failures = 0;
          await mailbox.wait({ idleMs: this.#timing.recheckMs, pollMs, signal: ended });
        } catch (error) {
          if (ended.aborted) return;
          this.#drop(mailbox);
          mailbox = undefined;
          const wait = backoffMs(failures++, {
            baseMs: this.#timing.reconnectBaseMs,
            maxMs: RECONNECT_MAX_MS,
          });
          const line = `${errorText(error)}; next try in ${(wait / 1000).toFixed(1)} s`;
          // One line an outage is enough for whoever reads the log.
          if (failures === 1) this.#ctx.log.warning(line);
          else this.#ctx.log.debug(line);
          await sleep(wait, ended).catch(() => {});
        }
      }
    } finally {
      if (mailbox) this.#keep(mailbox);
    }
  }

  async push(letter: Letter, signal: AbortSignal): Promise<void> {
    const ended = AbortSignal.any([signal, this.#closing.signal]);
    ended.throwIfAborted();
    const { tokens = DEFAULT_TOKENS } = this.#settings;
    const raw = composeMail(letter, { date: this.#ctx.now(), messageId: randomUUID(), tokens });
    // Loaded with the first letter: an acceptor that only listens never pays for it.
    const { sendMail } = await import('./smtp.js');
    const begun = performance.now();
    for (let attempt = 0; ; attempt++) {
      try {
        await sendMail(
          this.#settings,
          { from: letter.from.owner, to: letter.to.owner, raw },
          { timeoutMs: this.#timing.connectMs, signal: ended },
        );
        return;
      } catch (error) {
        const wait = backoffMs(attempt, { baseMs: this.#timing.reconnectBaseMs });
        const late = performance.now() - begun + wait > MAIL_PUSH_RETRY_MS;
        if (late || !isAwlError(error, 'RENDEZVOUS_UNREACHABLE')) throw error;
        this.#ctx.log.debug(`${errorText(error)}; next try in ${(wait / 1000).toFixed(1)} s`);
        await sleep(wait, ended);
      }
    }
  }

  async close(): Promise<void> {
    // What was read must be gone before the connection is, but not at any price.
    const patience = new AbortController();
    await Promise.race([
      Promise.allSettled([...this.#acks]),
      sleep(Math.min(this.#timing.stepMs, 3000), patience.signal).catch(() => {}),
    ]);
    patience.abort();
    if (!this.#closing.signal.aborted) {
      this.#closing.abort(new AwlError('RENDEZVOUS_UNREACHABLE', 'the e-mail rendezvous was closed'));
    }
    for (const mailbox of [...this.#open]) this.#drop(mailbox);
  }

  async #connect(signal: AbortSignal): Promise<Mailbox> {
    const ended = AbortSignal.any([signal, this.#closing.signal]);
    const { connectMs, stepMs } = this.#timing;
    const mailbox = await Mailbox.open(this.#settings, { connectMs, stepMs, signal: ended });
    this.#open.add(mailbox);
    return mailbox;
  }

  #drop(mailbox: Mailbox | undefined): void {
    if (!mailbox) return;
    this.#open.delete(mailbox);
    if (this.#spare === mailbox) this.#spare = undefined;
    mailbox.close();
  }

  #keep(mailbox: Mailbox | undefined): void {
    const old = this.#spare;
    if (mailbox && (old?.usable || !mailbox.usable || this.#closing.signal.aborted)) {
      this.#drop(mailbox);
      return;
    }
    this.#drop(old);
    this.#spare = mailbox;
  }

  #takeSpare(): Mailbox | undefined {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare?.usable) return spare;
    this.#drop(spare);
    return undefined;
  }

  #envelope(mailbox: Mailbox, found: FoundLetter, filter: LetterFilter): Envelope {
    const { uidValidity } = mailbox;
    const { uid, arrivedAt } = found.head;
    return {
      app: filter.app,
      kind: filter.kind,
      from: found.headers.from,
      to: found.headers.to,
      form: found.form,
      bytes: found.bytes,
      id: `mail ${uidValidity}:${uid}`,
      receivedAt: arrivedAt ?? this.#ctx.now(),
      ack: () => {
        const done = this.#remove(uidValidity, uid).finally(() => this.#acks.delete(done));
        this.#acks.add(done);
        return done;
      },
    };
  }

  async #remove(uidValidity: bigint, uid: number): Promise<void> {
    if (this.#closing.signal.aborted) return;
    const live = [...this.#open].find((box) => box.usable && box.uidValidity === uidValidity);
    try {
      const mailbox = live ?? (await this.#connect(this.#closing.signal));
      try {
        if (mailbox.uidValidity !== uidValidity) return;
        const removed = await mailbox.remove(uid);
        if (!removed) this.#ctx.log.debug(`the server did not let us delete mail ${uid}`);
      } finally {
        if (!live) this.#keep(mailbox);
      }
    } catch (error) {
      // It stays in the mailbox; the replay guard knows it.
      this.#ctx.log.debug(`mail ${uid} is not deleted: ${errorText(error)}`);
    }
  }
}

/** The e-mail rendezvous: letters are mails in the INBOX of the owner's account (spec c). */
export async function openEmail(
  settings: EmailSettings,
  ctx: RendezvousContext,
  timing: Partial<MailTiming> = {},
): Promise<Rendezvous> {
  redact(settings.password);
  return new EmailRendezvous(settings, ctx, { ...TIMING, ...timing });
}
