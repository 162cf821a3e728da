import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parseName } from '../../src/identity/names.js';
import { StunServer } from '../../src/stun/server.js';
import { AWL, AwlProcess } from '../support/awl.js';
import { storedIdentity } from '../support/key-store.js';
import { needs } from '../support/needs.js';
import { tempDir } from '../support/tmp.js';
import { until } from '../support/world.js';

const [ALICE, BOB] = ['alice@x.test/a', 'bob@x.test/b'];
const COLUMNS = 60;
/** Carriage return, erase to the end of the line. */
const CLEAR = '\r\x1b[K';

/** Command lines of two sides on loopback. */
async function lines() {
  const root = tempDir();
  const repo = join(root, 'repo');
  for (const name of [ALICE, BOB]) await storedIdentity(repo, parseName(name));
  mkdirSync(join(root, 'letters'));
  const stun = await StunServer.start({ addresses: ['127.0.0.1'], port: 0, altPort: 0 });
  onTestFinished(() => stun.close());
  return (own: string, peer: string) => [
    ...[AWL, '--app-id=t', `--app-repo=${repo}`, `--host-info=${own}`, `--peer-info=${peer}`],
    ...[`--stun-server=127.0.0.1:${stun.layout.port}`, '--stun-client=127.0.0.1', '--allow-loopback'],
    ...[`--file-dir=${join(root, 'letters')}`, `--state-dir=${join(root, own.slice(0, 3))}`],
  ];
}

test.skipIf(!needs('script', 'stty'))(
  'on a real terminal one line tells the progress: no longer than it is wide, below the log, gone at the end',
  async () => {
    const line = await lines();
    const child = spawn(process.execPath, [...line(BOB, ALICE), '--accept', '--json', '--export=1']);
    onTestFinished(() => void child.kill());
    const bob = new AwlProcess(child);
    await bob.event('listening');
    const awl = [process.execPath, ...line(ALICE, BOB), '--socks5=127.0.0.1:0'].join(' ');
    const command = `stty cols ${COLUMNS}; exec ${awl}`;
    const terminal = spawn('script', ['-qefc', command, '/dev/null'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, TERM: 'xterm', SHELL: '/bin/sh' },
    });
    onTestFinished(() => void terminal.kill());
    let screen = '';
    terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
      screen += text;
    });
    const shown = () => screen.split(CLEAR).map((text) => text.split('\r\n').at(-1) ?? '');
    const tunnel = /^bob@x\.test\/b tunnel \| (?:udp|tcp) \| .*up /;
    await until('the line of the tunnel', () => shown().some((text) => tunnel.test(text)), 30_000);
    bob.stop();
    const [status] = await once(terminal, 'close');
    expect(status, screen).toBe(0);
    for (const text of shown()) {
      if (text.startsWith('bob@')) expect(text.length).toBeLessThan(COLUMNS);
    }
    // A line of the log wipes the progress away, and stands above its next drawing.
    const above = / INFO [^\r\n]*\r\n[^\r\n]*\|/;
    expect(screen.split(CLEAR).some((text) => above.test(text))).toBe(true);
    expect(
      screen
        .slice(screen.lastIndexOf(CLEAR) + CLEAR.length)
        .split('\r\n')
        .at(-1),
    ).toBe('');
  },
);
