import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';

const SCRIPT = resolve(import.meta.dirname, '../../../scripts/test-summary.mjs');
const REPORTER = resolve(import.meta.dirname, '../../../scripts/stray-errors.mjs');
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'awl-summary-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Outcome = 'passed' | 'failed' | 'pending';

/** A report of vitest's: outcomes of the tests by file. */
async function report(name: string, files: Record<string, readonly Outcome[]>): Promise<string> {
  const testResults = Object.entries(files).map(([file, outcomes]) => ({
    name: join(process.cwd(), file),
    status: outcomes.includes('failed') ? 'failed' : 'passed',
    assertionResults: outcomes.map((status, n) => ({ status, fullName: `${file} ${n}` })),
  }));
  const path = join(folder, name);
  await writeFile(path, JSON.stringify({ testResults }));
  return path;
}

function summary(...args: (string | number)[]): Promise<{ status: number; lines: string[] }> {
  const env = { ...process.env, CI: '' };
  return new Promise((done) => {
    execFile(process.execPath, [SCRIPT, ...args.map(String)], { env }, (error, stdout) => {
      done({ status: error ? Number(error.code) : 0, lines: stdout.trim().split('\n') });
    });
  });
}

test('what fails twice has failed', async () => {
  const first = await report('1', { 'a.ts': ['passed', 'failed'], 'b.ts': ['passed'] });
  const second = await report('2', { 'a.ts': ['passed', 'failed'] });
  const { status, lines } = await summary(first, 0, 1, second, 1);
  expect(status).toBe(1);
  expect(lines).toEqual(['failed: a.ts: a.ts 1', '2 passed, 1 failed, 0 skipped']);
});

test('what fails beside others and passes alone is counted once, and named', async () => {
  const first = await report('1', { 'a.ts': ['passed', 'failed'], 'b.ts': ['passed', 'pending'] });
  const second = await report('2', { 'a.ts': ['passed', 'passed'] });
  const { status, lines } = await summary(first, 0, 1, second, 0);
  expect(status).toBe(0);
  expect(lines[0]).toBe('failed beside the others, passed alone: a.ts: a.ts 1');
  expect(lines.at(-1)).toBe('3 passed, 0 failed, 1 skipped');
});

test('lint, types and a second run that reports an error count as failures', async () => {
  const first = await report('1', { 'a.ts': ['failed'] });
  const second = await report('2', { 'a.ts': ['passed'] });
  expect((await summary(first, 1, 1, second, 0)).lines.at(-1)).toBe('1 passed, 1 failed, 0 skipped');
  expect((await summary(first, 0, 1, second, 1)).lines.at(-1)).toBe('1 passed, 1 failed, 0 skipped');
  expect((await summary(first, 0, 1, join(folder, 'none'), 1)).lines.at(-1)).toBe(
    '0 passed, 1 failed, 0 skipped',
  );
});

test('what was thrown outside any test counts, even if the test that failed beside it passes alone', async () => {
  const first = await report('1', { 'a.ts': ['failed'], 'b.ts': ['passed'] });
  const second = await report('2', { 'a.ts': ['passed'] });
  await writeFile(`${first}.stray`, '{"file":"b.ts","text":"Error: nobody waits for this"}\n');
  const { status, lines } = await summary(first, 0, 1, second, 0);
  await rm(`${first}.stray`);
  expect(status).toBe(1);
  expect(lines).toContain('thrown outside any test: b.ts: Error: nobody waits for this');
  expect(lines.at(-1)).toBe('2 passed, 1 failed, 0 skipped');
});

test('the reporter writes what was thrown outside any test, a line each', async () => {
  const path = join(folder, 'thrown');
  const [one, two] = [new Error('one'), new TypeError('two\nlines')];
  const errors = [Object.assign(one, { VITEST_TEST_PATH: join(process.cwd(), 'test/a.ts') }), two];
  const { default: StrayErrors } = await import(pathToFileURL(REPORTER).href);
  vi.stubEnv('STRAY_ERRORS', path);
  new StrayErrors().onTestRunEnd([], errors);
  vi.unstubAllEnvs();
  expect(
    (await readFile(path, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { file: 'test/a.ts', text: 'Error: one' },
    { file: '', text: 'TypeError: two\nlines' },
  ]);
});

test('a few files are run again, many are not, and none where all passed', async () => {
  const files = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`${n}.ts`, ['failed'] as const]));
  const again = async (of: Record<string, readonly Outcome[]>) =>
    (await summary('--again', await report('1', of))).lines;
  expect(await again({ ...files(3), 'good.ts': ['passed'] })).toEqual(['0.ts', '1.ts', '2.ts']);
  expect(await again(files(4))).toEqual(['']);
  expect(await again({ 'good.ts': ['passed'] })).toEqual(['']);
});
