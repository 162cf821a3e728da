import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { parseAcl } from '../../src/wire/acl.js';
import { needs } from '../support/needs.js';
import { importPort, openPair, tunnelSettings } from '../support/tunnel.js';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

async function web(body: Buffer | string): Promise<number> {
  const server = createServer((_, response) => response.end(body));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function curl(...args: string[]): Promise<{ status: number; out: Buffer; err: string }> {
  return new Promise((resolve) => {
    const all = ['-sS', '--noproxy', '', '--max-time', '15', ...args];
    execFile('curl', all, { encoding: 'buffer', maxBuffer: 1 << 26 }, (error, out, err) => {
      const status = typeof error?.code === 'number' ? error.code : 0;
      resolve({ status, out, err: err.toString() });
    });
  });
}

test.skipIf(!needs('curl'))(
  'the real curl goes through SOCKS and CONNECT, and is told what the rules forbid',
  async () => {
    const big = Buffer.alloc(5_000_000, 'awl ');
    const [open, shut] = [await web(big), await web('never')];
    const pair = await openPair(
      tunnelSettings({}, { socks5: { address: '127.0.0.1', port: 0 } }),
      tunnelSettings({}, { rules: parseAcl({ allows: ['127.0.0.1:*'], blocks: [`127.0.0.1:${shut}`] }) }),
    );
    cleanup.push(pair.close);
    const at = `127.0.0.1:${importPort(pair, 'alice')}`;
    for (const way of [
      ['--socks5-hostname', at],
      ['--socks5', at],
      ['--proxytunnel', '-x', `http://${at}`],
    ]) {
      const got = await curl(...way, `http://localhost:${open}/`);
      expect(got.err).toBe('');
      expect(got.out.equals(big)).toBe(true);
    }
    // (2): not allowed by ruleset, (4): the name is not known, (5): nobody listens.
    const failures = [`localhost:${shut}`, 'nowhere.invalid:80', '127.0.0.1:1'].map((to) =>
      curl('--socks5-hostname', at, `http://${to}/`),
    );
    expect(
      (await Promise.all(failures)).map(({ status, err }) => [status, /\((\d)\)\s*$/.exec(err)?.[1]]),
    ).toEqual([
      [97, '2'],
      [97, '4'],
      [97, '5'],
    ]);
    const refused = await curl('--proxytunnel', '-x', `http://${at}`, `http://127.0.0.1:${shut}/`);
    expect(refused.err).toContain('403');
  },
);
