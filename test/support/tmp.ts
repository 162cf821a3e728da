import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, onTestFinished } from 'vitest';

const leftovers: string[] = [];
// A folder made outside a test, in a beforeAll or while tests are collected, lives as long as its file.
afterAll(() => {
  for (const folder of leftovers.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A fresh folder, removed when the test that asked for it is over (or the file, if none did). */
export function tempDir(): string {
  const folder = mkdtempSync(join(tmpdir(), 'awl-test-'));
  try {
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  } catch {
    leftovers.push(folder);
  }
  return folder;
}
