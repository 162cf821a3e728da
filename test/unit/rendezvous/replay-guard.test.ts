import {
  appendFile,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SEEN_MAX_ENTRIES, SEEN_RETENTION_MS, SEEN_UNTIMED_RETENTION_MS } from '../../../src/constants.js';
import { ReplayGuard } from '../../../src/rendezvous/replay-guard.js';

const NOW = new Date('2026-11-21T12:00:00Z');
const digest = (n: number) => n.toString(16).padStart(64, '0');
const line = (n: number, at = NOW.getTime()) =>
  `${JSON.stringify({ at, digest: digest(n), by: '0123456789abcdef' })}\n`;

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'awl-seen-'));
  file = join(folder, 'seen.jsonl');
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function admitOnce(n: number, at = NOW): Promise<boolean> {
  const guard = await ReplayGuard.open(file, at);
  try {
    return await guard.admit(digest(n), at);
  } finally {
    await guard.close();
  }
}

test('a digest is admitted once, in memory and on file', async () => {
  for (const where of [undefined, file]) {
    const guard = await ReplayGuard.open(where, NOW);
    expect([
      await guard.admit(digest(1), NOW),
      await guard.admit(digest(1), NOW),
      await guard.admit(digest(2), NOW),
    ]).toEqual([true, false, true]);
    expect(guard.problem).toBeUndefined();
    await guard.close();
  }
});

test('the file is for the user alone', async () => {
  await writeFile(file, '', { mode: 0o644 });
  await admitOnce(1);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test('a digest stays seen after a restart', async () => {
  expect(await admitOnce(1)).toBe(true);
  expect(await admitOnce(1)).toBe(false);
});

test('the same digest a hundred times at once is admitted once', async () => {
  const guard = await ReplayGuard.open(file, NOW);
  const verdicts = await Promise.all(Array.from({ length: 100 }, () => guard.admit(digest(1), NOW)));
  expect(verdicts.filter(Boolean)).toHaveLength(1);
  await guard.close();
});

test('of ten guards on one file exactly one admits each of fifty digests', async () => {
  const guards = await Promise.all(Array.from({ length: 10 }, () => ReplayGuard.open(file, NOW)));
  for (let n = 0; n < 50; n++) {
    const verdicts = await Promise.all(guards.map((guard) => guard.admit(digest(n), NOW)));
    expect(verdicts.filter(Boolean)).toHaveLength(1);
  }
  await Promise.all(guards.map((guard) => guard.close()));
});

test('a torn last line loses itself only, not the lines after it', async () => {
  await admitOnce(1);
  await admitOnce(2);
  const { size } = await stat(file);
  await truncate(file, size - 30);
  expect(await admitOnce(2)).toBe(true);
  expect(await admitOnce(1)).toBe(false);
  expect(await admitOnce(2)).toBe(false);
});

test.each([
  ['binary garbage', Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 97) % 256))],
  ['another format', Buffer.from('{"at":"yesterday","digest":"x"}\n[]\nnull\n')],
  ['a line of a megabyte', Buffer.alloc(1_000_000, 'x')],
  ['nothing but line ends', Buffer.alloc(10_000, '\n')],
])('a file with %s does not stop the guard', async (_what, bytes) => {
  await writeFile(file, Buffer.concat([Buffer.from(line(7)), bytes]));
  expect(await admitOnce(1)).toBe(true);
  expect(await admitOnce(1)).toBe(false);
  expect(await admitOnce(7)).toBe(false);
});

test('what another process wrote meanwhile counts', async () => {
  const guard = await ReplayGuard.open(file, NOW);
  expect(await guard.admit(digest(1), NOW)).toBe(true);
  await appendFile(file, line(2));
  expect(await guard.admit(digest(2), NOW)).toBe(false);
  await guard.close();
});

test('a file that was emptied or replaced is read anew, and memory still holds', async () => {
  const guard = await ReplayGuard.open(file, NOW);
  expect(await guard.admit(digest(1), NOW)).toBe(true);
  await rm(file);
  await writeFile(file, line(2));
  expect(await guard.admit(digest(2), NOW)).toBe(false);
  await truncate(file, 0);
  expect(await guard.admit(digest(1), NOW)).toBe(false);
  expect(await guard.admit(digest(3), NOW)).toBe(true);
  await appendFile(file, line(4));
  expect(await guard.admit(digest(4), NOW)).toBe(false);
  await guard.close();
});

test('what is older than a day is forgotten, what is younger is not', async () => {
  const old = NOW.getTime() - SEEN_RETENTION_MS;
  await writeFile(file, line(1, old - 1) + line(2, old + 1));
  expect(await admitOnce(1)).toBe(true);
  expect(await admitOnce(2)).toBe(false);
});

test('what says no time of its own is remembered for more than a year, others beside it are not', async () => {
  const guard = await ReplayGuard.open(file, NOW);
  expect(await guard.admit(digest(1), NOW, SEEN_UNTIMED_RETENTION_MS)).toBe(true);
  expect(await guard.admit(digest(2), NOW)).toBe(true);
  await guard.close();
  const later = (ms: number) => new Date(NOW.getTime() + ms);
  expect(await admitOnce(1, later(SEEN_UNTIMED_RETENTION_MS - 1))).toBe(false);
  expect(await admitOnce(2, later(SEEN_RETENTION_MS + 1))).toBe(true);
  expect(await admitOnce(1, later(SEEN_UNTIMED_RETENTION_MS + 1))).toBe(true);
});

test('a clock that was set back forgets nothing', async () => {
  await admitOnce(1, new Date(NOW.getTime() + 3600_000));
  expect(await admitOnce(1, NOW)).toBe(false);
});

test('beyond the cap the oldest go first', async () => {
  const lines = Array.from({ length: SEEN_MAX_ENTRIES + 5 }, (_, n) => line(n));
  await writeFile(file, lines.join(''));
  const guard = await ReplayGuard.open(file, NOW);
  expect(await guard.admit(digest(SEEN_MAX_ENTRIES + 4), NOW)).toBe(false);
  expect(await guard.admit(digest(5), NOW)).toBe(false);
  expect(await guard.admit(digest(4), NOW)).toBe(true);
  await guard.close();
});

test('a file that grew far beyond the cap is written anew and still refuses what it held', async () => {
  const lines = Array.from({ length: 5 * SEEN_MAX_ENTRIES }, (_, n) => line(n));
  await writeFile(file, lines.join(''));
  const before = (await stat(file)).size;
  expect(await admitOnce(-1 + 10 ** 9)).toBe(true);
  expect((await stat(file)).size).toBeLessThan(before / 4);
  expect(await admitOnce(5 * SEEN_MAX_ENTRIES - 1)).toBe(false);
  expect(await admitOnce(-1 + 10 ** 9)).toBe(false);
});

test('where the file cannot be used the guard holds in memory and says why', async () => {
  const target = join(folder, 'elsewhere');
  await writeFile(target, 'precious');
  await symlink(target, join(folder, 'link'));
  await mkdir(join(folder, 'dir'));
  for (const bad of [join(folder, 'link'), join(folder, 'dir'), join(folder, 'no', 'such')]) {
    const guard = await ReplayGuard.open(bad, NOW);
    expect(guard.problem).toContain(bad);
    expect([await guard.admit(digest(1), NOW), await guard.admit(digest(1), NOW)]).toEqual([true, false]);
    await guard.close();
  }
  expect((await readFile(target)).toString()).toBe('precious');
});

test('what is no digest is never admitted, nor anything after close', async () => {
  const guard = await ReplayGuard.open(file, NOW);
  for (const text of ['', 'x', digest(1).slice(1), `${digest(1)}\n`, digest(10).toUpperCase()]) {
    expect(await guard.admit(text, NOW)).toBe(false);
  }
  await guard.close();
  await guard.close();
  expect(await guard.admit(digest(1), NOW)).toBe(false);
  expect((await readFile(file)).toString()).toBe('');
});
