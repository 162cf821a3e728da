import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { takeLock } from '../../../src/session/lock.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'awl-lock-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** What a process that crashed with the lock in hand leaves behind. */
function leaveStale(): void {
  const { pid } = spawnSync('true');
  writeFileSync(join(folder, 'x.lock'), `${pid} 1 crashed\n`);
}

test('a second acceptor does not get the lock while the first lives, and gets it afterwards', async () => {
  const first = await takeLock(folder, 'x');
  expect(first).toBeDefined();
  expect(await takeLock(folder, 'x')).toBeUndefined();
  const other = await takeLock(folder, 'y');
  expect(other).toBeDefined();
  other?.release();
  first?.release();
  const again = await takeLock(folder, 'x');
  expect(again).toBeDefined();
  again?.release();
  expect(readdirSync(folder)).toEqual([]);
});

test('the lock of a crashed process does not keep the next one out', async () => {
  leaveStale();
  const lock = await takeLock(folder, 'x');
  expect(lock).toBeDefined();
  expect(await takeLock(folder, 'x')).toBeUndefined();
  lock?.release();
});

test('a process that got the pid of a crashed holder is not taken for it', async () => {
  const other = spawn('sleep', ['30']);
  await once(other, 'spawn');
  writeFileSync(join(folder, 'x.lock'), `${other.pid} 1 crashed\n`);
  const lock = await takeLock(folder, 'x');
  other.kill();
  expect(lock).toBeDefined();
  lock?.release();
});

test('of many that start at once over a stale lock exactly one wins', async () => {
  for (let round = 0; round < 5; round++) {
    leaveStale();
    const locks = await Promise.all(Array.from({ length: 20 }, () => takeLock(folder, 'x')));
    const held = locks.filter((lock) => lock !== undefined);
    expect(held).toHaveLength(1);
    held[0]?.release();
  }
});

test('garbage in the lock file keeps nobody out for ever', async () => {
  writeFileSync(join(folder, 'x.lock'), 'not a lock');
  const lock = await takeLock(folder, 'x');
  expect(lock).toBeDefined();
  lock?.release();
});
