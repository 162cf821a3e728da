import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AwlError, errorText } from '../errors.js';
import { sleep } from '../util/sleep.js';

export interface Lock {
  release(): void;
}

/** Longer than any process needs between judging a lock stale and replacing it. */
const SETTLE_MS = 50;

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It is gone, which is what was wanted.
  }
}

/** When the process began, in clock ticks since boot (proc(5), field 22); tells a reused pid from the old one. */
function startOf(pid: number): string {
  const stat = read(`/proc/${pid}/stat`);
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

function isAlive(text: string): boolean {
  const [pid, start] = text.split(' ');
  const number = Number(pid);
  if (!Number.isInteger(number) || number <= 0) return false;
  try {
    process.kill(number, 0);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EPERM')) return false;
  }
  const now = startOf(number);
  return now === '' || now === start;
}

/**
 * Takes the lock `name` in the 0700 folder `folder`, or returns undefined if a living process holds it.
 * What a crashed process left is replaced: by an atomic rename, after which the last one to have renamed owns it.
 * @throws AwlError FILE_WRITE
 */
export async function takeLock(folder: string, name: string): Promise<Lock | undefined> {
  const path = join(folder, `${name}.lock`);
  const text = `${process.pid} ${startOf(process.pid)} ${randomUUID()}\n`;
  const own = `${path}.${randomUUID()}`;
  const release = () => {
    if (read(path) === text) remove(path);
  };
  try {
    writeFileSync(own, text, { mode: 0o600, flag: 'wx' });
    try {
      linkSync(own, path);
      return { release };
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const held = read(path);
    if (held !== undefined && isAlive(held)) return undefined;
    renameSync(own, path);
    await sleep(SETTLE_MS);
    return read(path) === text ? { release } : undefined;
  } catch (error) {
    throw new AwlError('FILE_WRITE', `cannot make the lock ${path}: ${errorText(error)}`, {
      hint: 'name a folder of your own with --state-dir',
      cause: error,
    });
  } finally {
    remove(own);
  }
}
