import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { interfaces, makeCertificate, pings, startHook } from '../support/hook.js';
import { Lab } from '../support/lab.js';
import { needs } from '../support/needs.js';

/*
 *   a  alice, inviting          b  bob, accepting
 *   10.77.0.2 ===== tunnel ===== 10.77.0.1
 *   |                            |
 *   nata -- i1 -- ... -- i6 -- natb      both NATs port-restricted
 */
describe.skipIf(!needs('root', 'ip', 'nft', 'python3', 'openvpn', 'openssl', 'ping'))(
  'exec-openvpn.sh',
  () => {
    let dir = '';
    let lab: Lab;
    let alice: { cert: string; key: string };
    let bob: { cert: string; key: string };
    beforeAll(async () => {
      dir = await mkdtemp(join(tmpdir(), 'awl-openvpn-'));
      lab = await Lab.up('ovpn', { a: 'port-restricted', b: 'port-restricted', hops: 6 });
      [alice, bob] = await Promise.all([makeCertificate(dir, 'alice'), makeCertificate(dir, 'bob')]);
    });
    afterAll(async () => {
      await lab?.down();
      await rm(dir, { recursive: true, force: true });
    });

    test('two machines behind NATs ping each other through the tunnel, and nothing is left when it ends', async () => {
      const before = [await interfaces(lab, 'a'), await interfaces(lab, 'b')];
      const a = startHook(lab, 'a', 'exec-openvpn.sh', dir, {
        secret: 1n,
        hostCert: alice.cert,
        hostKey: alice.key,
        peerCert: bob.cert,
      });
      const b = startHook(lab, 'b', 'exec-openvpn.sh', dir, {
        secret: 1n,
        hostCert: bob.cert,
        hostKey: bob.key,
        peerCert: alice.cert,
      });
      try {
        await expect.poll(() => pings(lab, 'a', '10.77.0.1'), { timeout: 30_000, interval: 100 }).toBe(true);
        expect(await pings(lab, 'b', '10.77.0.2')).toBe(true);
        expect(await a.output()).toMatch(/TLSv1\.3/);
      } catch (error) {
        throw new Error(`a:\n${await a.output()}\nb:\n${await b.output()}`, { cause: error });
      } finally {
        await Promise.all([a.stop(), b.stop()]);
      }
      expect([await interfaces(lab, 'a'), await interfaces(lab, 'b')]).toEqual(before);
    });

    test('a peer with another certificate than the pinned one gets no tunnel', async () => {
      const mallory = await makeCertificate(dir, 'mallory');
      const a = startHook(lab, 'a', 'exec-openvpn.sh', dir, {
        secret: 1n,
        hostCert: mallory.cert,
        hostKey: mallory.key,
        peerCert: bob.cert,
      });
      const b = startHook(lab, 'b', 'exec-openvpn.sh', dir, {
        secret: 1n,
        hostCert: bob.cert,
        hostKey: bob.key,
        peerCert: alice.cert,
      });
      try {
        await expect.poll(b.output, { timeout: 30_000 }).toMatch(/certificate hash verification failed/);
        expect(await pings(lab, 'a', '10.77.0.1')).toBe(false);
      } finally {
        await Promise.all([a.stop(), b.stop()]);
      }
    });
  },
);
