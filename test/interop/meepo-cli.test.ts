import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/meepo-nodes.js';
import { needs } from '../support/needs.js';
import { type RedisServer, redisServer } from '../support/redis-server.js';
import { freePort } from '../support/testnet.js';

const SHIM = new URL('../../scripts/meepo', import.meta.url).pathname;

describe.skipIf(!needs('redis-server', 'ssh-keygen'))('the README’s lines, with daemons', () => {
  const base = mkdtempSync(join(tmpdir(), 'awl-meepo-'));
  const ports: Record<string, { api: number; socks: number }> = {};
  let redis: RedisServer;

  const meepo = (who: string, ...args: string[]) => {
    const env = { ...process.env, AWL_MEEPO_DIR: join(base, who) };
    const { status, stdout, stderr } = spawnSync(SHIM, args, { env, encoding: 'utf8', timeout: 30_000 });
    return { status, out: stdout, err: stderr };
  };
  const folder = (who: string, name: string) => join(base, who, name);

  beforeAll(async () => {
    redis = await redisServer();
    for (const who of ['alice', 'bob']) {
      ports[who] = { api: await freePort(), socks: await freePort() };
      expect(meepo(who, 'keygen', '-f', folder(who, 'meepo.pem'))).toMatchObject({
        status: 0,
        out: 'Key generated!\n',
      });
      const set = [
        `signaling.url=${redis.url}`,
        'id=old',
        `proxy.socks5={host: 127.0.0.1, port: ${ports[who].socks}}`,
      ];
      const init = meepo(who, 'config', 'init', ...set);
      expect(init).toMatchObject({ status: 0, out: 'Meepo config initialized\n' });
      expect(init.err).toContain('id means nothing any more');
      const file = folder(who, 'config.yaml');
      const text = readFileSync(file, 'utf8').replace('12345', String(ports[who].api));
      writeFileSync(file, text.replace(/iceServers:\n(?: +- stun.*\n)+/, 'iceServers: []\n'));
    }
  });
  afterAll(async () => {
    for (const who of ['alice', 'bob']) meepo(who, 'shutdown');
    await redis?.close();
    rmSync(base, { recursive: true, force: true });
  });

  test('serve, teleport, list, ssh, close, shutdown', async () => {
    for (const who of ['alice', 'bob']) {
      const served = meepo(who, 'serve', '-f', folder(who, 'meepo.pem'), '--address', '127.0.0.1');
      expect(served).toMatchObject({ status: 0, out: '' });
      expect(served.err).toContain('loopback destinations only');
      expect(statSync(folder(who, 'api.sock')).mode & 0o777).toBe(0o600);
    }
    expect(meepo('bob', 'serve', '-f', folder('bob', 'meepo.pem')).err).toContain('Meepo is running already');
    const alice = meepo('alice', 'whoami').out.trim();
    expect(alice).toMatch(/^6[0-9a-z]{50}$/);
    const web = createServer((_req, res) => res.end('<h1>Hello World!</h1>\n')).listen(0, '127.0.0.1');
    await once(web, 'listening');
    const address = web.address();
    const service = `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
    const made = meepo('bob', 'teleport', '-n', 'alice:http:8080', alice, service);
    expect(made.out).toMatch(/^Teleport SUCCESS\nEnjoy your teleportation with 127\.0\.0\.1:\d+\n$/);
    const at = made.out.trim().split(' ').at(-1);
    expect(await (await fetch(`http://${at}/`)).text()).toBe('<h1>Hello World!</h1>\n');
    web.close();
    web.closeAllConnections();
    expect(meepo('bob', 'ping', alice).out).toBe('Pong\n');
    expect(meepo('bob', 'tp', 'ls').out).toContain(
      `| alice:http:8080 | ${alice} | source | tcp:${at} | tcp:${service} |`,
    );
    expect(meepo('bob', 'ssh', '--', '-v', '-p', '2222', `user@${alice}`).out).toMatch(
      /^ssh -p\d+ -o 'StrictHostKeyChecking=no' -o 'UserKnownHostsFile=\/dev\/null' -v user@127\.0\.0\.1\n$/,
    );
    expect(meepo('bob', 'teleportation', 'close', 'alice:http:8080').out).toBe('Teleportation is closing\n');
    expect(meepo('bob', 'transport', 'close', 'nosuch')).toMatchObject({ status: 76, out: '' });
    const url = `http://127.0.0.1:${ports['bob']?.api}/v1/actions/shutdown`;
    const json = { method: 'POST', headers: { 'content-type': 'application/json' } };
    expect(
      (await fetch(url, { ...json, headers: { ...json.headers, origin: 'http://evil.example' } })).status,
    ).toBe(403);
    expect((await fetch(url, { method: 'POST' })).status).toBe(415);
    expect(meepo('bob', 'shutdown').out).toBe('Meepo shutting down\n');
    expect(await until(() => meepo('bob', 'whoami').status === 69)).toBe(true);
  });

  test('a key that others can read is refused', () => {
    chmodSync(folder('bob', 'meepo.pem'), 0o644);
    expect(meepo('bob', 'serve', '-i', folder('bob', 'meepo.pem'))).toMatchObject({
      status: 77,
      err: expect.stringContaining('others may read the identity file'),
    });
  });
});
