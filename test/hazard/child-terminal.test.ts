import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Compiled, compile } from '../support/compiled.js';
import { needs } from '../support/needs.js';
import { isRunning } from '../support/processes.js';

const HARNESS = fileURLToPath(new URL('../fixtures/programs/launch-inherit.mjs', import.meta.url));

let compiled: Compiled;
beforeAll(async () => {
  compiled = await compile('launch/exec.ts', 'log.ts');
});
afterAll(() => compiled.remove());

const node = (args: string) => [process.execPath, HARNESS, compiled.dir, 'sh', args];
const shellQuote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function collect(child: ChildProcess): () => string {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  return () => text;
}

describe.skipIf(!needs('script'))('a payload that inherits a terminal', () => {
  /** Runs the harness on a fresh pseudo-terminal whose keyboard is our pipe. */
  const onTerminal = (args: string) =>
    spawn('script', ['-qec', node(args).map(shellQuote).join(' '), '/dev/null'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });

  test('talks to the person there, as ssh must', async () => {
    const child = onTerminal(`-c 'tty; echo ready > /dev/tty; read line; echo "got:$line"; exit 5'`);
    const text = collect(child);
    await expect.poll(text, { timeout: 15_000 }).toContain('ready');
    child.stdin?.write('hello\n');
    await once(child, 'exit');
    expect(text()).toContain('/dev/pts/');
    expect(text()).toContain('got:hello');
    expect(text()).toContain('exit 5 null');
  });

  test('Ctrl-C at the terminal ends payload and awl', async () => {
    const child = onTerminal(`-c 'echo "pid:$$"; exec sleep 300'`);
    const text = collect(child);
    await expect.poll(text, { timeout: 15_000 }).toMatch(/pid:\d+/);
    const pid = Number(/pid:(\d+)/.exec(text())?.[1]);
    child.stdin?.write('\x03');
    await once(child, 'exit');
    expect(text()).toMatch(/exit null SIG(INT|TERM)/);
    expect(isRunning(pid)).toBe(false);
  });
});

test('a payload that inherits streams without a terminal is ended with its whole group', async () => {
  // setsid: the tests themselves may have been started from a terminal.
  const child = spawn('setsid', ['-w', ...node(`-c 'sleep 300 & echo "pids:$!:$$:$PPID"; wait'`)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const text = collect(child);
  await expect.poll(text, { timeout: 15_000 }).toMatch(/pids:/);
  const [inner = 0, outer = 0, harness = 0] = (/pids:(\d+):(\d+):(\d+)/.exec(text()) ?? [])
    .slice(1)
    .map(Number);
  process.kill(harness, 'SIGINT');
  await once(child, 'exit');
  expect(text()).toContain('exit null SIGTERM');
  expect([inner, outer].filter(isRunning)).toEqual([]);
});
