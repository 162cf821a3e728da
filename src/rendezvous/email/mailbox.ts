import type { FetchMessageObject, FetchQueryObject, ImapFlow } from 'imapflow';
import { AwlError } from '../../errors.js';
import { HEADER_FIELDS } from './extract.js';
import { mailError } from './failure.js';
import { type ImapOptions, openInbox } from './imap.js';
import type { EmailSettings } from './settings.js';

/** What can be known of a mail without reading a byte that its sender chose. */
export interface MailHead {
  readonly uid: number;
  readonly bytes: number;
  /** When the server took it, by the server's clock, whole seconds. */
  readonly arrivedAt: Date | undefined;
}

export interface MailboxOptions extends ImapOptions {
  readonly stepMs: number;
}

/**
 * One IMAP connection with INBOX selected. It lives until the first failure: every command is bounded in time, and
 * whatever goes wrong closes it. Reconnecting is the caller's business.
 */
export class Mailbox {
  readonly uidValidity: bigint;
  readonly #client: ImapFlow;
  readonly #settings: EmailSettings;
  readonly #stepMs: number;
  #uidNext: number | undefined;
  #news = false;
  #idleWorks: boolean;
  #running = 0;
  #wake: (() => void) | undefined;
  #fault: unknown;

  private constructor(client: ImapFlow, settings: EmailSettings, stepMs: number) {
    this.#client = client;
    this.#settings = settings;
    this.#stepMs = stepMs;
    const box = client.mailbox;
    this.uidValidity = box ? box.uidValidity : 0n;
    this.#uidNext = box ? box.uidNext : undefined;
    this.#idleWorks = client.capabilities.has('IDLE');
    client.on('exists', () => {
      this.#news = true;
      this.#wake?.();
    });
    client.on('error', (error) => {
      this.#fault ??= error;
      client.close();
    });
    client.on('close', () => this.#wake?.());
  }

  /**
   * Connects, logs in, selects INBOX.
   * @throws AwlError RENDEZVOUS_UNREACHABLE, RENDEZVOUS_REFUSED, RENDEZVOUS_UNTRUSTED; the signal's reason if aborted
   */
  static async open(settings: EmailSettings, o: MailboxOptions): Promise<Mailbox> {
    const mailbox = new Mailbox(await openInbox(settings, o), settings, o.stepMs);
    await mailbox.#findUidNext();
    return mailbox;
  }

  get usable(): boolean {
    return this.#client.usable;
  }

  /** True if the server announced mail since the last {@link list}. */
  get news(): boolean {
    return this.#news;
  }

  /** Every mail that was there when this connection began has a UID below this one. */
  get uidNext(): number {
    return this.#uidNext ?? 1;
  }

  /** Heads of all mails with a UID above `uid`; at most the newest `max`, in order of arrival. */
  async list(uid: number, max: number): Promise<{ heads: MailHead[]; dropped: number }> {
    // Not every server notices new mail before it was told to look.
    if (!this.#news) await this.#step('NOOP', () => this.#client.noop());
    this.#news = false;
    return this.#heads(`${uid + 1}:*`, true, max, (head) => head.uid > uid);
  }

  /** Heads of the last `count` mails. */
  async newest(count: number): Promise<MailHead[]> {
    const box = this.#client.mailbox;
    const exists = box ? box.exists : 0;
    if (exists === 0) return [];
    return (await this.#heads(`${Math.max(1, exists - count + 1)}:*`, false, count, () => true)).heads;
  }

  /** The header fields that we judge by, of several mails. */
  async headers(uids: readonly number[]): Promise<Map<number, Uint8Array>> {
    const found = new Map<number, Uint8Array>();
    if (uids.length === 0) return found;
    await this.#fetch(uids.join(','), { uid: true, headers: [...HEADER_FIELDS] }, true, (mail) => {
      if (uids.includes(mail.uid) && mail.headers) found.set(mail.uid, mail.headers);
    });
    return found;
  }

  /** The text after the headers; undefined if the mail is gone. */
  async text(uid: number): Promise<Uint8Array | undefined> {
    let text: Uint8Array | undefined;
    await this.#fetch(String(uid), { uid: true, bodyParts: ['text'] }, true, (mail) => {
      if (mail.uid === uid) text = mail.bodyParts?.get('text');
    });
    return text;
  }

  /** Deletes one mail. Without UIDPLUS it is only marked: a plain EXPUNGE would take other people's with it. */
  async remove(uid: number): Promise<boolean> {
    return this.#step('STORE', () =>
      this.#client.capabilities.has('UIDPLUS')
        ? this.#client.messageDelete(String(uid), { uid: true })
        : this.#client.messageFlagsAdd(String(uid), ['\\Deleted'], { uid: true, silent: true }),
    );
  }

  /**
   * Waits until the server announces mail, the connection ends, the signal aborts, or for at most `idleMs` (with IDLE)
   * or `pollMs` (without).
   */
  async wait(o: {
    readonly idleMs: number;
    readonly pollMs: number;
    readonly signal: AbortSignal;
  }): Promise<void> {
    if (this.#news || !this.usable || o.signal.aborted) return;
    let timer: NodeJS.Timeout | undefined;
    let wake = () => {};
    await new Promise<void>((resolve) => {
      wake = resolve;
      this.#wake = resolve;
      o.signal.addEventListener('abort', wake, { once: true });
      timer = setTimeout(wake, this.#idleWorks ? o.idleMs : o.pollMs);
      this.#idle();
    }).finally(() => {
      this.#wake = undefined;
      clearTimeout(timer);
      o.signal.removeEventListener('abort', wake);
    });
  }

  close(): void {
    this.#client.close();
  }

  /** Enters IDLE if somebody waits and no command runs: one that is queued behind IDLE would never be sent. */
  #idle(): void {
    const wake = this.#wake;
    if (!wake || this.#running > 0 || !this.#idleWorks || !this.usable) return;
    this.#client.idle().then(
      (result) => {
        // A server that announces IDLE and then refuses it is polled from now on.
        if (result !== false || !this.usable) return;
        this.#idleWorks = false;
        wake();
      },
      () => {},
    );
  }

  async #findUidNext(): Promise<void> {
    if (this.#uidNext !== undefined) return;
    const last = (await this.newest(1))[0];
    this.#uidNext = (last?.uid ?? 0) + 1;
  }

  async #heads(
    range: string,
    uid: boolean,
    max: number,
    keep: (head: MailHead) => boolean,
  ): Promise<{ heads: MailHead[]; dropped: number }> {
    let heads: MailHead[] = [];
    let dropped = 0;
    await this.#fetch(range, { uid: true, size: true, internalDate: true }, uid, (mail) => {
      const at = mail.internalDate;
      const head = {
        uid: mail.uid,
        // A server that does not say how large a mail is does not get it read.
        bytes: mail.size ?? Number.POSITIVE_INFINITY,
        arrivedAt: at instanceof Date ? at : undefined,
      };
      if (!head.uid || !keep(head)) return;
      heads.push(head);
      if (heads.length >= 2 * max) {
        dropped += heads.length - max;
        heads = heads.slice(-max);
      }
    });
    dropped += Math.max(0, heads.length - max);
    return { heads: heads.slice(-max).sort((a, b) => a.uid - b.uid), dropped };
  }

  #fetch(
    range: string,
    query: FetchQueryObject,
    uid: boolean,
    each: (mail: FetchMessageObject) => void,
  ): Promise<void> {
    return this.#step('FETCH', async (alive) => {
      // A dead connection yields nothing instead of failing.
      if (!this.#client.mailbox) throw new Error('the connection was closed');
      for await (const mail of this.#client.fetch(range, query, { uid })) {
        alive();
        each(mail);
      }
      if (!this.#client.mailbox) throw new Error('the connection was closed');
    });
  }

  /** Runs one command; if the server says nothing for the time of a step, or anything fails, the connection ends. */
  async #step<T>(command: string, run: (alive: () => void) => Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    let expire = () => {};
    const late = new Promise<never>((_, reject) => {
      expire = () =>
        reject(new AwlError('RENDEZVOUS_UNREACHABLE', `the mail server did not answer ${command}`));
    });
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(expire, this.#stepMs);
    };
    alive();
    this.#running++;
    try {
      if (!this.usable) throw new Error('the connection was closed');
      const running = run(alive);
      running.catch(() => {});
      return await Promise.race([running, late]);
    } catch (error) {
      this.close();
      throw mailError(this.#fault ?? error, `IMAP ${command}`, this.#settings.imaps, this.#settings);
    } finally {
      clearTimeout(timer);
      this.#running--;
      // Any command ends IDLE; whoever waits goes on waiting.
      this.#idle();
    }
  }
}
