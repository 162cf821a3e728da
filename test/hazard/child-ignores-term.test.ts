import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { launch } from '../../src/launch/exec.js';
import { createLogger } from '../../src/log.js';
import { PASSAGE } from '../support/passage.js';
import { isRunning } from '../support/processes.js';

const STUBBORN = fileURLToPath(new URL('../fixtures/programs/ignore-term.sh', import.meta.url));

test('a payload that ignores TERM is killed after the grace, with all of its group', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'awl-term-'));
  try {
    const log = join(dir, 'out');
    const lines: string[] = [];
    const controller = new AbortController();
    let pid = 0;
    const ended = launch(
      { command: 'sh', args: `-c '${STUBBORN} & echo $!; ${STUBBORN}; wait'`, log },
      PASSAGE,
      {
        log: createLogger({ write: (line) => lines.push(line) }),
        signal: controller.signal,
        graceMs: 200,
        onStart: (id) => {
          pid = id;
        },
      },
    );
    await expect.poll(() => readFile(log, 'utf8').catch(() => '')).toMatch(/(?:ready\n[\s\d]*){2}/);
    const inner = Number(/^\d+/m.exec(await readFile(log, 'utf8'))?.[0]);
    expect(isRunning(inner)).toBe(true);
    controller.abort();
    await ended;
    expect([pid, inner].filter(isRunning)).toEqual([]);
    expect(lines.join('')).toMatch(/WARNING .*was killed/);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

test('a payload that was stopped still ends', async () => {
  const controller = new AbortController();
  const exit = await launch({ command: 'sleep', args: '300' }, PASSAGE, {
    log: createLogger({ write: () => {} }),
    signal: controller.signal,
    onStart: (pid) => {
      process.kill(pid, 'SIGSTOP');
      controller.abort();
    },
  });
  expect(exit).toEqual({ status: null, signal: 'SIGTERM' });
});
