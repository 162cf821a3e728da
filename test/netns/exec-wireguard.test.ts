import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { interfaces, pings, startHook } from '../support/hook.js';
import { Lab } from '../support/lab.js';
import { needs } from '../support/needs.js';
import { processIds, procFile } from '../support/processes.js';

/*
 *   a  alice, inviting          b  bob, accepting
 *   10.78.0.2 ===== tunnel ===== 10.78.0.1
 *   |                            |
 *   nata -- i1 -- ... -- i6 -- natb      both NATs port-restricted
 */
describe.skipIf(!needs('root', 'ip', 'nft', 'python3', 'wg', 'wireguard-go', 'ping'))(
  'exec-wireguard.sh',
  () => {
    let dir = '';
    let lab: Lab;
    beforeAll(async () => {
      dir = await mkdtemp(join(tmpdir(), 'awl-wireguard-'));
      lab = await Lab.up('wg', { a: 'port-restricted', b: 'port-restricted', hops: 6 });
    });
    afterAll(async () => {
      await lab?.down();
      await rm(dir, { recursive: true, force: true });
    });

    const start = (
      side: 'a' | 'b',
      values: { secret: bigint; sessionKey?: Uint8Array },
      env: string[] = [],
    ) =>
      // Userspace interfaces share one folder for their sockets, so a and b need different names: those of the ports.
      startHook(lab, side, 'exec-wireguard.sh', dir, values, ['AWL_WG_USERSPACE=1', ...env]);

    test('two machines that share only the session key ping each other through the tunnel', async () => {
      const before = [await interfaces(lab, 'a'), await interfaces(lab, 'b')];
      const values = { secret: randomBytes(8).readBigUInt64BE(), sessionKey: randomBytes(32) };
      const [a, b] = [start('a', values), start('b', values)];
      try {
        await expect.poll(() => pings(lab, 'a', '10.78.0.1'), { timeout: 30_000, interval: 100 }).toBe(true);
        expect(await pings(lab, 'b', '10.78.0.2')).toBe(true);
        expect((await lab.run('a', 'wg', ['show'])).stdout).toMatch(
          /preshared key: \(hidden\)[\s\S]*latest handshake/,
        );
      } catch (error) {
        throw new Error(`a:\n${await a.output()}\nb:\n${await b.output()}`, { cause: error });
      } finally {
        await Promise.all([a.stop(), b.stop()]);
      }
      expect([await interfaces(lab, 'a'), await interfaces(lab, 'b')]).toEqual(before);
    });

    test('no key is in a command line while it starts and runs', async () => {
      const values = { secret: randomBytes(8).readBigUInt64BE(), sessionKey: randomBytes(32) };
      const a = start('a', values);
      const seen = new Set<string>();
      try {
        await expect
          .poll(
            async () => {
              for (const id of processIds()) seen.add(procFile(id, 'cmdline'));
              return (await a.output()).includes('is up');
            },
            { timeout: 30_000, interval: 1 },
          )
          .toBe(true);
        const privateKey =
          (await lab.run('a', 'wg', ['show', 'all', 'private-key'])).stdout.split('\t')[1]?.trim() ?? '';
        expect(privateKey).toMatch(/^[A-Za-z0-9+/]{43}=$/);
        const secrets = [privateKey, values.secret.toString(), values.sessionKey.toString('hex')];
        expect([...seen].filter((line) => secrets.some((secret) => line.includes(secret)))).toEqual([]);
        expect([...seen].some((line) => line.includes('wireguard-go'))).toBe(true);
      } finally {
        await a.stop();
      }
    });

    test('with keys of one’s own the peer need not be an awl', async () => {
      const genkey = () => execFileSync('wg', ['genkey'], { encoding: 'utf8' });
      const pubkey = (key: string) => execFileSync('wg', ['pubkey'], { encoding: 'utf8', input: key }).trim();
      const keys = { a: genkey(), b: genkey() };
      await Promise.all([
        writeFile(join(dir, 'a.key'), keys.a, { mode: 0o600 }),
        writeFile(join(dir, 'b.key'), keys.b, { mode: 0o600 }),
      ]);
      const env = (side: 'a' | 'b', other: 'a' | 'b') => [
        `AWL_WG_PRIVATE_KEY_FILE=${join(dir, `${side}.key`)}`,
        `AWL_WG_PEER_PUBLIC_KEY=${pubkey(keys[other])}`,
        `AWL_TUN_LOCAL=10.99.0.${side === 'a' ? 1 : 2}`,
        `AWL_TUN_REMOTE=10.99.0.${side === 'a' ? 2 : 1}`,
      ];
      const [a, b] = [start('a', { secret: 1n }, env('a', 'b')), start('b', { secret: 1n }, env('b', 'a'))];
      try {
        await expect.poll(() => pings(lab, 'a', '10.99.0.2'), { timeout: 30_000, interval: 100 }).toBe(true);
      } catch (error) {
        throw new Error(`a:\n${await a.output()}\nb:\n${await b.output()}`, { cause: error });
      } finally {
        await Promise.all([a.stop(), b.stop()]);
      }
    });

    test('another session key opens nothing', async () => {
      const a = start('a', { secret: 1n, sessionKey: randomBytes(32) });
      const b = start('b', { secret: 1n, sessionKey: randomBytes(32) });
      try {
        await expect
          .poll(async () => (await a.output()) + (await b.output()), { timeout: 30_000 })
          .toMatch(/is up[\s\S]*is up/);
        for (let attempt = 0; attempt < 3; attempt++) expect(await pings(lab, 'a', '10.78.0.1')).toBe(false);
        expect((await lab.run('a', 'wg', ['show', 'all', 'latest-handshakes'])).stdout).toMatch(/\t0\n$/);
      } finally {
        await Promise.all([a.stop(), b.stop()]);
      }
    });
  },
);
