import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Compiled, compile } from '../support/compiled.js';
import { makeWorld } from '../support/world.js';

const SRC = resolve(import.meta.dirname, '../../src');

let built: Compiled;
let main: string;
beforeAll(async () => {
  built = await compile('cli/main.ts');
  main = join(built.dir, 'cli/main.js');
});
afterAll(() => built.remove());

interface Ended {
  readonly status: number | null;
  readonly signal: string | null;
  readonly out: string;
  readonly err: string;
}

/** Starts awl; `onErr` sees standard error as it comes, and may send signals. */
function awl(args: string[], onErr: (text: string, kill: (name: NodeJS.Signals) => void) => void = () => {}) {
  const child = spawn(process.execPath, [main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 15_000,
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (data) => {
    out += data;
  });
  child.stderr.on('data', (data) => {
    err += data;
    onErr(err, (name) => child.kill(name));
  });
  return new Promise<Ended>((done) =>
    child.on('close', (status, signal) => done({ status, signal, out, err })),
  );
}

describe('signals', () => {
  test.each(['SIGTERM', 'SIGINT'] as const)('%s ends a server in good order', async (name) => {
    let sent = false;
    const { status, signal } = await awl(
      ['stun-server', '--listen=127.0.0.1', '--port=0', '--alt-port=0'],
      (err, kill) => {
        if (sent || !err.includes('ready')) return;
        sent = true;
        kill(name);
      },
    );
    expect({ status, signal }).toEqual({ status: 0, signal: null });
  });

  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
  ] as const)(
    '%s ends an inviter that has no answer with %i, as shells expect it',
    async (name, expected) => {
      const world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
      const [alice] = world.machines;
      let sent = false;
      try {
        const { status, signal, err } = await awl(
          [
            ...['--app-id=t', `--app-repo=${alice?.repo}`, `--state-dir=${alice?.stateDir}`, '--import=1:1'],
            ...['--host-info=alice@example.org/laptop', '--peer-info=bob@example.org/nas'],
            ...[`--stun-server=127.0.0.1:${world.stun.layout.port}`, '--stun-client=127.0.0.1'],
            ...[`--file-dir=${world.folder}`, '--allow-loopback'],
          ],
          (text, kill) => {
            if (sent || !text.includes('invitation sent')) return;
            sent = true;
            kill(name);
          },
        );
        expect({ status, signal }, err).toEqual({ status: expected, signal: null });
      } finally {
        await world.close();
      }
    },
  );
});

describe('standard output', () => {
  test('a reader that goes away is no error', async () => {
    const child = spawn('bash', [
      '-c',
      `set -o pipefail; "$0" "$1" --help | head -1`,
      process.execPath,
      main,
    ]);
    let all = '';
    child.stdout.on('data', (data) => {
      all += data;
    });
    child.stderr.on('data', (data) => {
      all += data;
    });
    const status = await new Promise((done) => child.on('close', done));
    expect(all).toBe('Usage: awl --accept [OPTION]...\n');
    expect(status).toBe(0);
  });

  test('errors leave it empty', async () => {
    const { status, out, err } = await awl(['--no-such-option']);
    expect(status).toBe(64);
    expect(out).toBe('');
    expect(err.split('\n')).toHaveLength(3);
  });
});

/** Files that importing `file` loads at once. */
function loadedAtOnce(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  for (const [, path] of text.matchAll(/^(?:import|export) (?!type)[^;]*?from '(\.[^']+)'/gms)) {
    loadedAtOnce(resolve(dirname(file), path?.replace(/\.js$/, '.ts') ?? ''), seen);
  }
  return seen;
}

test('help waits for nothing that only a session needs', () => {
  const files = [...loadedAtOnce(join(SRC, 'cli/main.ts')), ...loadedAtOnce(join(SRC, 'cli/help.ts'))].map(
    (file) => relative(SRC, file),
  );
  expect(files).toContain('cli/options/past.ts');
  const heavy = files.filter((file) => !/^(?:cli\/|errors\.ts|constants\.ts|log\.ts)/.test(file));
  expect(heavy).toEqual([]);
  expect(new Set(files).size).toBeLessThan(25);
});
