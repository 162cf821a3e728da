import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** A folder of this run of all tests, removed at its end. */
    runFolder: string;
  }
}

let folder: string;

export function setup(project: TestProject): void {
  folder = mkdtempSync(join(tmpdir(), 'awl-run-'));
  project.provide('runFolder', folder);
}

export function teardown(): void {
  rmSync(folder, { recursive: true, force: true });
}
