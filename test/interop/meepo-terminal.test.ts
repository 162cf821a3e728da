import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { meepoKeys } from '../../src/wire/meepo/keys.js';
import { formatKeyFile } from '../../src/wire/meepo/openssh.js';
import { AWL } from '../support/awl.js';
import { needs } from '../support/needs.js';
import { freePort } from '../support/testnet.js';
import { tempDir } from '../support/tmp.js';

const PHRASE = 'correct horse';

describe.skipIf(!needs('script'))('a node whose key has a passphrase, on a terminal', () => {
  /** `serve` under a terminal of its own; types when it is asked. */
  async function serve(typed: string) {
    const folder = tempDir();
    const keys = meepoKeys();
    writeFileSync(join(folder, 'key'), formatKeyFile({ keys, comment: '' }, PHRASE), { mode: 0o600 });
    const meepo = {
      identityFile: join(folder, 'key'),
      proxy: { socks5: null },
      transport: { name: 'webrtc', iceServers: [] },
      // Nobody is there, and nobody needs to be.
      signaling: { name: 'redis', url: `redis://127.0.0.1:${await freePort()}/1` },
      api: { name: 'http', host: '127.0.0.1', port: await freePort() },
    };
    writeFileSync(join(folder, 'config.yaml'), JSON.stringify({ meepo }));
    const line = [process.execPath, AWL, 'meepo', 'serve', '--daemon=false']
      .map((word) => `'${word}'`)
      .join(' ');
    const child = spawn('script', ['-qec', line, '/dev/null'], {
      env: { ...process.env, AWL_MEEPO_DIR: folder },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    let said = '';
    let status: number | null = null;
    child.stdout.on('data', (text) => {
      said += text;
    });
    child.once('exit', (code) => {
      status = code;
    });
    await expect.poll(() => said, { timeout: 20_000 }).toContain('Passphrase of ');
    child.stdin.write(typed);
    return { keys, child, said: () => said, status: () => status };
  }

  test('it is asked for and not shown; what is typed wrong can be taken back', async () => {
    const { keys, child, said, status } = await serve(`${PHRASE}x\x7f\r`);
    await expect.poll(said, { timeout: 20_000 }).toContain(`Meepo ${keys.id}: `);
    expect(said()).not.toContain('horse');
    child.stdin.write('\x03');
    await expect.poll(status, { timeout: 20_000 }).not.toBeNull();
  });

  test('another one opens nothing', async () => {
    const { said, status } = await serve('battery staple\r');
    await expect.poll(status, { timeout: 20_000 }).toBe(77);
    expect(said()).toMatch(/passphrase/);
  });
});
