import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { SEEN_MAX_ENTRIES, SEEN_RETENTION_MS } from '../constants.js';
import { errorText } from '../errors.js';

/** A line of the file; `by` tells writers apart. Anything else in the file is skipped. */
const LINE = /^\{"at":(\d{1,15}),"digest":"([0-9a-f]{64})","by":"([0-9a-f]{16})"\}$/gm;
const DIGEST = /^[0-9a-f]{64}$/;
const LINE_BYTES = 125;
/** Beyond this the file is written anew with what still counts. */
const COMPACT_BYTES = 4 * LINE_BYTES * SEEN_MAX_ENTRIES;
const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;

/**
 * The messages that were opened before. Each digest is admitted once: in this process, after a restart, and by one
 * of several processes that share the file (best effort: a line written in the very moment in which another process
 * compacts the file is lost). The file is appended to and never trusted: torn and foreign lines are skipped, and
 * if it cannot be used at all the guard holds in memory and says so in {@link problem}.
 */
export class ReplayGuard {
  readonly #file: string | undefined;
  /** Digest to time, which may lie ahead. A Map keeps the order of insertion, so the oldest come first. */
  readonly #seen = new Map<string, number>();
  /** Which file `#offset` is in; inode numbers are used again, so the time of birth is part of it. */
  #generation = '';
  #offset = 0;
  #queue: Promise<unknown> = Promise.resolve();
  #closed = false;
  #problem: string | undefined;

  private constructor(file: string | undefined) {
    this.#file = file;
  }

  /**
   * @param file where to remember across restarts, made 0600 if missing; undefined: in memory only
   * @param now what is older than SEEN_RETENTION_MS by then is forgotten
   */
  static async open(file: string | undefined, now: Date): Promise<ReplayGuard> {
    const guard = new ReplayGuard(file);
    await guard.#onFile(async (handle) => {
      await handle.chmod(0o600);
      await guard.#readNews(handle);
    });
    guard.#forget(now.getTime());
    return guard;
  }

  /** Why the file cannot be used, if so. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /**
   * True the first time that `digest` (64 hex digits) comes; false ever after, and once closed.
   * @param retentionMs how long it is remembered at least, room permitting
   */
  admit(digest: string, at: Date, retentionMs: number = SEEN_RETENTION_MS): Promise<boolean> {
    // A line holds no retention: what is kept longer counts as seen that much later.
    const seenAt = at.getTime() + Math.max(0, retentionMs - SEEN_RETENTION_MS);
    const verdict = this.#queue.then(() => this.#admit(digest, at.getTime(), seenAt));
    this.#queue = verdict.catch(() => {});
    return verdict;
  }

  /** Waits for what is under way. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#queue;
  }

  async #admit(digest: string, now: number, at: number): Promise<boolean> {
    if (this.#closed || !DIGEST.test(digest) || this.#seen.has(digest)) return false;
    let first = true;
    await this.#onFile(async (handle) => {
      await this.#readNews(handle);
      first = !this.#seen.has(digest);
      if (!first) return;
      const by = randomBytes(8).toString('hex');
      // The leading line end keeps us apart from a torn last line.
      await handle.appendFile(`\n${formatLine(digest, at, by)}`);
      // Appends do not mix: of several writers of one digest, the one whose line comes first has it.
      first = (await this.#readNews(handle)).get(digest) === by;
      if (this.#offset > COMPACT_BYTES) await this.#compact(now);
    });
    if (first) this.#seen.set(digest, at);
    this.#forget(now);
    return first;
  }

  /** Runs `use` on the opened file; whatever fails becomes {@link problem}. */
  async #onFile(use: (handle: FileHandle) => Promise<void>): Promise<void> {
    if (this.#file === undefined) return;
    let handle: FileHandle | undefined;
    try {
      // Not blocking, not following: a FIFO or a link put in our place must not hold or mislead us.
      handle = await open(this.#file, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
      await use(handle);
      this.#problem = undefined;
    } catch (error) {
      this.#problem = `the seen-set ${this.#file} cannot be used: ${errorText(error)}`;
    } finally {
      await handle?.close().catch(() => {});
    }
  }

  /** Takes in what was appended since the last look; yields the first writer of each digest in it. */
  async #readNews(handle: FileHandle): Promise<Map<string, string>> {
    const stats = await handle.stat({ bigint: true });
    if (!stats.isFile()) throw new Error('it is not a regular file');
    const size = Number(stats.size);
    const generation = `${stats.dev} ${stats.ino} ${stats.birthtimeNs}`;
    if (generation !== this.#generation || size < this.#offset) this.#offset = 0;
    this.#generation = generation;
    const start = Math.max(this.#offset, size - 2 * COMPACT_BYTES);
    const bytes = Buffer.alloc(size - start);
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
    const end = bytes.subarray(0, bytesRead).lastIndexOf('\n') + 1;
    this.#offset = start + end;
    const writers = new Map<string, string>();
    for (const [, at = '', digest = '', by = ''] of bytes.toString('latin1', 0, end).matchAll(LINE)) {
      if (writers.has(digest)) continue;
      writers.set(digest, by);
      if (!this.#seen.has(digest)) this.#seen.set(digest, Number(at));
    }
    return writers;
  }

  async #compact(now: number): Promise<void> {
    this.#forget(now);
    const by = randomBytes(8).toString('hex');
    const fresh = `${this.#file}.${by}`;
    const handle = await open(fresh, 'wx', 0o600);
    try {
      await handle.writeFile([...this.#seen].map(([digest, at]) => formatLine(digest, at, by)).join(''));
      await rename(fresh, this.#file!);
    } catch (error) {
      await rm(fresh, { force: true });
      throw error;
    } finally {
      await handle.close();
    }
  }

  /** Drops what is past retention, then the oldest beyond the cap. */
  #forget(now: number): void {
    for (const [digest, at] of this.#seen) if (at < now - SEEN_RETENTION_MS) this.#seen.delete(digest);
    for (const digest of this.#seen.keys()) {
      if (this.#seen.size <= SEEN_MAX_ENTRIES) return;
      this.#seen.delete(digest);
    }
  }
}

function formatLine(digest: string, at: number, by: string): string {
  return `${JSON.stringify({ at, digest, by })}\n`;
}
