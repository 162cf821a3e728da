import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { launch, planPayload } from '../../../src/launch/exec.js';
import type { ExecSpec } from '../../../src/launch/spec.js';
import { createLogger, silentLogger } from '../../../src/log.js';
import { PASSAGE } from '../../support/passage.js';

const PRINT_ARGS = fileURLToPath(new URL('../../fixtures/programs/print-args.mjs', import.meta.url));

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'awl-exec-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const run = (spec: Partial<ExecSpec> & { command: string }) =>
  launch({ args: '', ...spec }, PASSAGE, { log: silentLogger });

interface Printed {
  readonly args: string[];
  readonly cwd: string;
  readonly env: Record<string, string>;
}

describe('launch', () => {
  test('hands over tokens, folder, log and environment', async () => {
    await mkdir(join(dir, 'nas'));
    const exit = await run({
      command: process.execPath,
      args: `${PRINT_ARGS} %peerip% '--title=%peerpin% of %peermail%' "" %alien%`,
      pwd: join(dir, '%peerpin%'),
      log: 'from-%hostpin%.log',
      env: ['X=%secret%', 'AWL_TUN_LOCAL=10.9.9.1'],
    });
    expect(exit).toEqual({ status: 0, signal: null });
    const file = join(dir, 'nas', 'from-laptop.log');
    const printed = JSON.parse(await readFile(file, 'utf8')) as Printed;
    expect(printed.args).toEqual(['203.0.113.10', '--title=nas of bob@example.org', '203.0.113.10:40002']);
    expect(printed.cwd).toBe(join(dir, 'nas'));
    expect(printed.env).toMatchObject({
      AWL_ROLE: 'invite',
      AWL_SECRET: '1537732126717276277',
      AWL_TUN_LOCAL: '10.9.9.1',
    });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test('certificate paths hold in the folder of the payload too', () => {
    const values = { ...PASSAGE, hostCert: 'repo/a/cert.crt', hostKey: '/abs/private.key' };
    const plan = planPayload({ command: 'true', args: '', pwd: '/tmp', env: ['C=%hostcert%'] }, values, {});
    expect(plan.env).toMatchObject({
      AWL_HOST_CERT: join(process.cwd(), 'repo/a/cert.crt'),
      AWL_HOST_KEY: '/abs/private.key',
      C: join(process.cwd(), 'repo/a/cert.crt'),
    });
    expect(plan.env).not.toHaveProperty('AWL_PEER_CERT');
  });

  test('a second payload appends to the log of the first', async () => {
    const log = join(dir, 'x.log');
    await run({ command: 'echo', args: 'one', log });
    await run({ command: 'sh', args: '-c "echo two >&2"', log });
    expect(await readFile(log, 'utf8')).toBe('one\ntwo\n');
  });

  test('the exit status is passed on', async () => {
    expect(await run({ command: 'sh', args: "-c 'exit 42'" })).toEqual({ status: 42, signal: null });
  });

  test('a signal that ended the payload is passed on', async () => {
    expect(await run({ command: 'sh', args: "-c 'kill -9 $$'" })).toEqual({
      status: null,
      signal: 'SIGKILL',
    });
  });

  test('the payload has a session and a process group of its own', async () => {
    const log = join(dir, 'x.log');
    await run({ command: 'sh', args: `-c 'echo $$; cut -d" " -f5,6 /proc/$$/stat'`, log });
    const [pid, ids] = (await readFile(log, 'utf8')).split('\n');
    expect(ids).toBe(`${pid} ${pid}`);
  });

  test('the payload reads end of file, never our stdin', async () => {
    const log = join(dir, 'x.log');
    await run({ command: 'cat', log });
    expect(await readFile(log, 'utf8')).toBe('');
  });

  test('an abort before the start starts nothing', async () => {
    const spec = { command: 'touch', args: join(dir, 'started') };
    const aborted = AbortSignal.abort(new Error('enough'));
    await expect(launch(spec, PASSAGE, { log: silentLogger, signal: aborted })).rejects.toThrow('enough');
    await expect(stat(join(dir, 'started'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('an abort ends the payload and what it started', async () => {
    const controller = new AbortController();
    const exit = await launch({ command: 'sh', args: '-c "sleep 300 & sleep 300"' }, PASSAGE, {
      log: silentLogger,
      signal: controller.signal,
      onStart: () => setImmediate(() => controller.abort()),
    });
    expect(exit).toEqual({ status: null, signal: 'SIGTERM' });
  });

  test('a signal named for it is passed on while the payload runs, and not after', async () => {
    const log = join(dir, 'x.log');
    const before = process.listenerCount('SIGUSR2');
    const ended = launch(
      {
        command: 'sh',
        args: `-c 'trap "echo got; exit 7" USR2; echo up; while :; do sleep 0.02; done'`,
        log,
      },
      PASSAGE,
      { log: silentLogger, forward: ['SIGUSR2'] },
    );
    await expect.poll(() => readFile(log, 'utf8').catch(() => '')).toContain('up');
    process.emit('SIGUSR2', 'SIGUSR2');
    expect((await ended).status).toBe(7);
    expect(process.listenerCount('SIGUSR2')).toBe(before);
  });

  test('%secret% in arguments is warned about in one line that does not show it', async () => {
    const lines: string[] = [];
    const log = createLogger({ level: 'trace', write: (line) => lines.push(line) });
    await launch({ command: 'true', args: '%secret% %secret%', log: join(dir, '%secret%') }, PASSAGE, {
      log,
    });
    expect(lines.filter((line) => line.includes('WARNING'))).toHaveLength(1);
    expect(lines.join('')).not.toContain(PASSAGE.secret.toString());
  });

  test('detached: it returns as soon as the program runs', async () => {
    const mark = join(dir, 'mark');
    const exit = await run({ command: 'sh', args: `-c 'sleep 0.1; echo done > ${mark}'`, detach: true });
    expect(exit).toEqual({ status: 0, signal: null });
    await expect(stat(mark)).rejects.toMatchObject({ code: 'ENOENT' });
    await expect.poll(() => readFile(mark, 'utf8').catch(() => '')).toBe('done\n');
  });
});

describe('a payload that cannot start names what is wrong and the cure', () => {
  const fails = async (spec: Partial<ExecSpec> & { command: string }, message: RegExp) => {
    const error: unknown = await run(spec).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'PAYLOAD_START', exitCode: 71, hint: expect.any(String) });
    expect((error as Error).message).toMatch(message);
  };

  test('a program that is not in PATH', () =>
    fails({ command: 'no-such-program-xyz' }, /no-such-program-xyz.*PATH/));
  test('a file that is not there', () =>
    fails({ command: '/no/such/file' }, /\/no\/such\/file.*no such file/));
  test('a shell line instead of a program', () => fails({ command: 'echo hello' }, /echo hello/));
  test('a file that may not be executed', async () => {
    await writeFile(join(dir, 'plain'), 'x');
    await chmod(join(dir, 'plain'), 0o644);
    await fails({ command: join(dir, 'plain') }, /plain: it may not be executed/);
  });
  test('a folder that is not there', () =>
    fails({ command: 'true', pwd: join(dir, 'gone') }, /--exec-pwd .*gone/));
  test('a folder that is a file', async () => {
    await writeFile(join(dir, 'file'), '');
    await fails({ command: 'true', pwd: join(dir, 'file') }, /--exec-pwd .*file/);
  });
  test('a log in a folder that is not there', () =>
    fails({ command: 'true', log: join(dir, 'a/b') }, /--exec-log .*a\/b/));
  test('a log that is a folder', () => fails({ command: 'true', log: dir }, /--exec-log/));
  test('a log that is a pipe, which nobody reads', async () => {
    execFileSync('mkfifo', [join(dir, 'pipe')]);
    await fails({ command: 'true', log: join(dir, 'pipe') }, /--exec-log .*pipe/);
  });
  test('a log that is a symbolic link', async () => {
    await symlink(join(dir, 'target'), join(dir, 'link'));
    await fails({ command: 'true', log: join(dir, 'link') }, /link: it is a symbolic link/);
    await expect(stat(join(dir, 'target'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
  test('arguments that no system takes', () =>
    fails({ command: 'true', args: 'x'.repeat(300_000) }, /too long/));
  test('an open quote', async () => {
    await expect(run({ command: 'true', args: '"open' })).rejects.toMatchObject({ code: 'USAGE_BAD_VALUE' });
  });
});
