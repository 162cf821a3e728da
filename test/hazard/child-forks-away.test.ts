import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { launch } from '../../src/launch/exec.js';
import { createLogger } from '../../src/log.js';
import { PASSAGE } from '../support/passage.js';
import { isRunning } from '../support/processes.js';

const FORK_AWAY = fileURLToPath(new URL('../fixtures/programs/fork-away.sh', import.meta.url));

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'awl-fork-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test('what a payload leaves behind in its group ends with it, and its exit status is still its own', async () => {
  const log = join(dir, 'out');
  const lines: string[] = [];
  const logger = createLogger({ write: (line) => lines.push(line) });
  expect(await launch({ command: FORK_AWAY, args: '', log }, PASSAGE, { log: logger })).toEqual({
    status: 3,
    signal: null,
  });
  const left = Number(await readFile(log, 'utf8'));
  expect(left).toBeGreaterThan(1);
  expect(isRunning(left)).toBe(false);
  expect(lines.join('')).toMatch(/WARNING .*left processes behind.*--exec-detach/);
});

test('--exec-detach lets it live', async () => {
  const log = join(dir, 'out');
  const logger = createLogger({ write: () => {} });
  await launch({ command: FORK_AWAY, args: '', log, detach: true }, PASSAGE, { log: logger });
  await expect.poll(() => readFile(log, 'utf8')).toMatch(/^\d+\n$/);
  const left = Number(await readFile(log, 'utf8'));
  try {
    expect(isRunning(left)).toBe(true);
  } finally {
    process.kill(left, 'SIGKILL');
  }
});
