import { createHash, randomBytes } from 'node:crypto';
import { constants, watch } from 'node:fs';
import { chmod, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { FILE_KEEP_MS, FILE_POLL_MS, INVITE_LOOKBACK_MS, MESSAGE_MAX_BYTES } from '../constants.js';
import { AwlError, errorText } from '../errors.js';
import { decodeLetter, encodeBounded, fitsFilter, HEAD_MAX_BYTES } from './letter-head.js';
import type { Envelope, Letter, LetterFilter, Rendezvous, RendezvousContext } from './types.js';

// <hash of app, kind, sender, recipient>-<random>: no word of a peer ever becomes part of a path.
const LETTER_NAME = /^[0-9a-f]{32}-[0-9a-f]{24}\.awl$/;
const HALF_NAME = /^\.[0-9a-f]{32}-[0-9a-f]{24}\.part$/;
function baseName(letter: Letter): string {
  const parts = [letter.app, letter.kind, letter.from, letter.to];
  const hash = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
  return `${hash}-${randomBytes(12).toString('hex')}`;
}

/** Reads one file of the folder, if it is an ordinary file of a sensible size; never follows a link, never blocks. */
async function read(path: string): Promise<{ data: Buffer; at: Date } | undefined> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const info = await file.stat();
    const max = HEAD_MAX_BYTES + MESSAGE_MAX_BYTES;
    if (!info.isFile() || info.size > max) return undefined;
    const data = Buffer.alloc(info.size);
    const { bytesRead } = await file.read(data, 0, info.size, 0);
    return { data: data.subarray(0, bytesRead), at: info.mtime };
  } finally {
    await file.close();
  }
}

class FileRendezvous implements Rendezvous {
  readonly name = 'file';
  readonly sealing = 'smime';
  readonly #folder: string;
  readonly #ctx: RendezvousContext;
  readonly #closing = new AbortController();
  #start: { readonly names: ReadonlySet<string>; readonly at: number } | undefined;

  constructor(folder: string, ctx: RendezvousContext) {
    this.#folder = folder;
    this.#ctx = ctx;
  }

  async prepare(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#closing.signal.throwIfAborted();
    await this.#guard('open', async () => {
      // A folder that somebody else made keeps its own mode: he may share it with a group on purpose.
      if ((await mkdir(this.#folder, { recursive: true, mode: 0o700 })) !== undefined) {
        await chmod(this.#folder, 0o700);
      }
      if (!(await stat(this.#folder)).isDirectory()) throw new Error('it is not a folder');
      const names = await readdir(this.#folder);
      this.#start = { names: new Set(names), at: this.#ctx.now().getTime() };
      await this.#cleanUp(names);
    });
  }

  async *listen(filter: LetterFilter, signal: AbortSignal): AsyncIterable<Envelope> {
    const ended = AbortSignal.any([signal, this.#closing.signal]);
    if (ended.aborted) return;
    if (!this.#start) await this.prepare(ended);
    const { names: old, at } = this.#start ?? { names: new Set<string>(), at: 0 };
    let seen = new Set<string>();
    const bell = this.#bell(ended);
    try {
      while (!ended.aborted) {
        const names = (await readdir(this.#folder).catch(() => [])).filter((name) => LETTER_NAME.test(name));
        const fresh = names.filter((name) => !seen.has(name));
        // What is gone needs no remembering: the set stays as small as the folder.
        seen = new Set(names);
        for (const name of fresh) {
          const envelope = await this.#take(name, filter);
          if (!envelope || (old.has(name) && !this.#stillWaited(envelope, at))) continue;
          yield envelope;
          if (ended.aborted) return;
        }
        await bell.wait();
      }
    } finally {
      bell.close();
    }
  }

  async push(letter: Letter, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#closing.signal.throwIfAborted();
    const data = encodeBounded(letter);
    await this.#guard('write to', async () => {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 });
      const name = baseName(letter);
      const half = join(this.#folder, `.${name}.part`);
      const file = await open(half, 'wx', 0o600);
      try {
        await file.writeFile(data);
      } finally {
        await file.close();
      }
      await rename(half, join(this.#folder, `${name}.awl`));
    });
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new AwlError('RENDEZVOUS_UNREACHABLE', 'the file rendezvous was closed'));
  }

  async #guard(doing: string, run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (error) {
      if (error instanceof AwlError) throw error;
      throw new AwlError(
        'RENDEZVOUS_UNREACHABLE',
        `cannot ${doing} the folder ${this.#folder}: ${errorText(error)}`,
        {
          hint: 'both sides need a folder that they can read and write',
          cause: error,
        },
      );
    }
  }

  async #take(name: string, filter: LetterFilter): Promise<Envelope | undefined> {
    const path = join(this.#folder, name);
    const file = await read(path).catch(() => undefined);
    const letter = file && decodeLetter(file.data);
    if (!file || !letter) {
      if (file) this.#ctx.log.debug(`${name} in the rendezvous folder is no letter`);
      return undefined;
    }
    if (!fitsFilter(letter, filter)) return undefined;
    return { ...letter, id: name, receivedAt: file.at, ack: () => unlink(path).catch(() => {}) };
  }

  /** Answers count from `prepare`; the sender of an invitation that is a minute old still waits for his. */
  #stillWaited(envelope: Envelope, preparedAt: number): boolean {
    return envelope.kind === 'invite' && envelope.receivedAt.getTime() >= preparedAt - INVITE_LOOKBACK_MS;
  }

  /** Deletes what nobody waits for any more, if it is a letter by name and by content. */
  async #cleanUp(names: readonly string[]): Promise<void> {
    const before = this.#ctx.now().getTime() - FILE_KEEP_MS;
    for (const name of names) {
      if (!LETTER_NAME.test(name) && !HALF_NAME.test(name)) continue;
      const path = join(this.#folder, name);
      const file = await read(path).catch(() => undefined);
      if (!file || file.at.getTime() >= before) continue;
      if (HALF_NAME.test(name) || decodeLetter(file.data)) await unlink(path).catch(() => {});
    }
  }

  /** Rings when the folder changes, and every 100 ms in case it does not. */
  #bell(signal: AbortSignal): { wait(): Promise<void>; close(): void } {
    let rung = false;
    let wake = () => {};
    const ring = () => {
      rung = true;
      wake();
    };
    const timer = setInterval(ring, FILE_POLL_MS);
    signal.addEventListener('abort', ring, { once: true });
    let watcher: ReturnType<typeof watch> | undefined;
    try {
      watcher = watch(this.#folder, ring);
      watcher.on('error', () => {});
    } catch {
      // Some network shares cannot be watched, and the system's watches may be used up.
    }
    return {
      async wait() {
        if (!rung) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        rung = false;
      },
      close() {
        clearInterval(timer);
        signal.removeEventListener('abort', ring);
        watcher?.close();
      },
    };
  }
}

/** The file rendezvous: letters are files in a folder that both sides can reach; also for tests and the demo. */
export async function openFile(folder: string, ctx: RendezvousContext): Promise<Rendezvous> {
  if (folder === '') {
    throw new AwlError('USAGE_BAD_VALUE', 'the file rendezvous needs a folder', {
      hint: 'give one with --file-folder',
    });
  }
  return new FileRendezvous(folder, ctx);
}
