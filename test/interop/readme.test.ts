import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { accept } from '../../src/session/acceptor.js';
import { ROOT } from '../support/lab-mail.js';
import { tempDir } from '../support/tmp.js';
import { makeWorld, until } from '../support/world.js';

const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');

test('the README’s library example runs as printed, but for names, paths and the loopback addresses of this test', async () => {
  const world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  const stop = new AbortController();
  try {
    const [alice, bob] = [world.machines[0]!, world.machines[1]!];
    const printed = /```js\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
    const put = (from: string, to: string) => {
      expect(program).toContain(from);
      program = program.replace(from, to);
    };
    let program = printed;
    put("'/home/alice/.awl'", JSON.stringify(alice.repo));
    put("{ host: 'stun.example.org', port: 3478 }", `{ host: '127.0.0.1', port: ${world.stun.layout.port} }`);
    put("'0.0.0.0'", "'127.0.0.1'");
    put("'/mnt/shared/awl' },", `${JSON.stringify(world.folder)} }, allowLoopback: true,`);

    const folder = tempDir();
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(ROOT, join(folder, 'node_modules/awl'));
    writeFileSync(join(folder, 'example.mjs'), program);

    const heard: string[] = [];
    const settings = world.settings(bob, alice, { app: 'vpn', signal: stop.signal });
    const accepting = (async () => {
      for await (const passage of accept(settings)) {
        passage.socket.subscribe((data) => heard.push(data.toString()));
        await until('the hello', () => heard.length > 0);
        await passage.close();
        return;
      }
    })();
    await until('bob listening', () => bob.events.some(({ event }) => event === 'listening'));
    const env = { ...process.env, XDG_STATE_HOME: folder };
    await promisify(execFile)(process.execPath, [join(folder, 'example.mjs')], { env, timeout: 20_000 });
    await accepting;
    expect(heard).toContain('hello');
  } finally {
    stop.abort();
    await world.close();
  }
});

test('every file that the README points to is there, and every command it shows exists', async () => {
  for (const [, target] of readme.matchAll(/\]\(([^)#:]+)\)/g)) {
    expect(() => readFileSync(join(ROOT, target!)), target).not.toThrow();
  }
  const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, 'dist/cli/main.js'), '--help']);
  for (const [, command] of readme.matchAll(/`awl ([a-z-]+)[ `]/g)) expect(stdout).toContain(command);
  for (const [, option] of readme.matchAll(/(--[a-z][a-z-]+)=/g)) {
    const known = stdout.includes(option!) || ['--listen', '--app-repo'].includes(option!);
    expect(known, option).toBe(true);
  }
});
