import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { launch } from '../../src/launch/exec.js';
import type { ExecSpec } from '../../src/launch/spec.js';
import type { WildcardValues } from '../../src/launch/wildcards.js';
import { createLogger } from '../../src/log.js';
import { PASSAGE } from '../support/passage.js';
import { processIds, procFile } from '../support/processes.js';

interface Sighting {
  readonly cmdlines: string[];
  /** Processes whose environment holds it. */
  readonly environments: number[];
  readonly pid: number;
  readonly log: string;
}

/** Runs a payload and looks, while it lives, through everything that other users or readers of logs could see. */
async function look(spec: Partial<ExecSpec>): Promise<Sighting> {
  const values: WildcardValues = {
    ...PASSAGE,
    secret: randomBytes(8).readBigUInt64BE(),
    sessionKey: randomBytes(32),
  };
  const secrets = [values.secret.toString(), Buffer.from(values.sessionKey ?? []).toString('hex')];
  const holds = (text: string) => secrets.some((secret) => text.includes(secret));
  const lines: string[] = [];
  const controller = new AbortController();
  const seen: { cmdlines: string[]; environments: number[]; pid: number } = {
    cmdlines: [],
    environments: [],
    pid: 0,
  };
  await launch({ command: 'sleep', args: '300', ...spec }, values, {
    log: createLogger({ level: 'trace', write: (line) => lines.push(line) }),
    signal: controller.signal,
    onStart: (pid) => {
      seen.pid = pid;
      for (const id of processIds()) {
        const cmdline = procFile(id, 'cmdline');
        if (holds(cmdline)) seen.cmdlines.push(cmdline);
        if (holds(procFile(id, 'environ'))) seen.environments.push(id);
      }
      controller.abort();
    },
  });
  return { ...seen, log: lines.filter(holds).join('') };
}

describe('the secret and the session key', () => {
  test('are in no command line, no log and no environment but the payload’s own', async () => {
    const seen = await look({});
    expect(seen.cmdlines).toEqual([]);
    expect(seen.environments).toEqual([seen.pid]);
    expect(seen.log).toBe('');
  });

  test('stay out of the command line when handed on by --exec-env', async () => {
    const seen = await look({ env: ['TOKEN=%secret%'] });
    expect(seen.cmdlines).toEqual([]);
    expect(seen.log).toBe('');
  });

  test('%secret% typed by name is what puts it there, and even then not into the log', async () => {
    const seen = await look({ command: 'sh', args: '-c "sleep 300" %secret%' });
    expect(seen.cmdlines.length).toBeGreaterThan(0);
    expect(seen.log).toBe('');
  });

  test('%sessionkey% is no wildcard', async () => {
    const seen = await look({ command: 'sh', args: '-c "sleep 300" %sessionkey% %hostkey%' });
    expect(seen.cmdlines).toEqual([]);
  });
});
