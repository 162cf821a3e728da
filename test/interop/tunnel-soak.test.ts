import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { AWL } from '../support/awl.js';
import { ROOT } from '../support/lab-mail.js';

const SOAK = join(ROOT, 'scripts/soak.mjs');

async function soak(...args: string[]): Promise<Record<string, number>> {
  expect(existsSync(AWL)).toBe(true);
  const { stdout } = await promisify(execFile)(process.execPath, [SOAK, ...args], { timeout: 80_000 });
  return JSON.parse(stdout);
}

test('200 MB pass a path that loses, doubles and reorders without one wrong byte, in little memory', async () => {
  const seen = await soak('--mb=100');
  expect(seen).toMatchObject({ mb: 200, wrong: 0 });
  for (const name of ['lost', 'doubled', 'late']) expect(seen[name]).toBeGreaterThan(1000);
  // Both ends, and a worker for the path, in one process.
  expect(seen['rssMb']).toBeLessThan(400);
});

test('30 MB pass such paths while they are replaced again and again', async () => {
  const seen = await soak('--mb=15', '--cuts');
  expect(seen).toMatchObject({ mb: 30, wrong: 0 });
  expect(seen['cuts']).toBeGreaterThanOrEqual(3);
});
