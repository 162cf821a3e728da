import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { AWL, AwlProcess } from '../support/awl.js';
import { Lab, type LabOptions } from '../support/lab.js';
import { LabPair } from '../support/lab-awl.js';
import { needs } from '../support/needs.js';
import { tempDir } from '../support/tmp.js';

const ready = needs('root', 'ip', 'nft', 'python3');
const WEB_PORT = 8000;

/** a -- NAT -- 6 routers, 5 ms each way -- NAT -- b */
describe.skipIf(!ready)('TCP through two kernel NATs', () => {
  let folder: string;
  let pair: LabPair;
  let sum: string;
  let lab: Lab | undefined;

  beforeAll(async () => {
    folder = tempDir();
    pair = await LabPair.make();
    mkdirSync(join(folder, 'web'));
    const data = randomBytes(5_000_000);
    sum = createHash('sha256').update(data).digest('hex');
    writeFileSync(join(folder, 'web', 'file'), data);
  }, 60_000);
  afterEach(async () => {
    await lab?.down();
    lab = undefined;
  });
  afterAll(async () => {
    await lab?.down();
  });

  async function scene(name: string, options: LabOptions) {
    const up = await Lab.up(name, { hops: 6, ...options });
    lab = up;
    const stun = new AwlProcess(
      up.spawn('s', process.execPath, [AWL, 'stun-server', '--listen=192.0.2.10', '--listen=192.0.2.11']),
    );
    await expect.poll(() => stun.output, { timeout: 10_000 }).toMatch(/STUN server ready/);
    up.spawn(
      'b',
      'python3',
      ['-m', 'http.server', '-b', '127.0.0.1', '-d', join(folder, 'web'), `${WEB_PORT}`],
      {
        stdio: 'ignore',
      },
    );
    const rendezvous = tempDir();
    const awl = (role: 'a' | 'b', ...args: string[]) => {
      const letters = ['--rendezvous=file', `--file-dir=${rendezvous}`];
      return pair.start(up, role, role, '--stun-server=192.0.2.10', ...letters, ...args);
    };
    const bob = awl('b', '--accept', '--once', `--export=${WEB_PORT}`);
    await bob.event('listening');
    const alice = awl('a', `--import=8080:${WEB_PORT}`);
    await alice.event('tunnel-open');
    return { lab: up, alice, bob };
  }

  async function download(at: Lab): Promise<string> {
    const script = `
      const hash = require('crypto').createHash('sha256');
      require('http').get('http://127.0.0.1:8080/file', (r) => r.on('data', (d) => hash.update(d)).on('end', () => {
        console.log(hash.digest('hex'));
      }));`;
    return (await at.run('a', process.execPath, ['-e', script], { timeoutMs: 40_000 })).stdout.trim();
  }

  test('between two port-restricted NATs the tunnel moves to TCP at once, long before its last try', async () => {
    const {
      lab: up,
      alice,
      bob,
    } = await scene('tcp', { a: 'port-restricted', b: 'port-restricted', delay: '5ms' });
    const [moved] = await Promise.all([alice.event('moved'), bob.event('moved')]);
    expect(moved).toMatchObject({ path: 'tcp' });
    // Some round trips of 20 ms on a machine that has time; the tries go on for 8 s.
    expect(moved.at - (alice.find('tunnel-open')?.at ?? 0)).toBeLessThan(6000);
    expect(await download(up), alice.output + bob.output).toBe(sum);
    expect(alice.output).not.toMatch(/is lost/);
    alice.stop();
    expect(await alice.ended, alice.output).toBe(0);
    expect(await bob.ended, bob.output).toBe(0);
  });

  test('where refused SYNs keep both apart the tunnel stays on UDP and works meanwhile', async () => {
    const { lab: up, alice, bob } = await scene('tcpno', { a: 'restricted+reject', b: 'symmetric+reject' });
    expect(await download(up), alice.output + bob.output).toBe(sum);
    await expect.poll(() => alice.output, { timeout: 12_000 }).toMatch(/the tunnel stays on UDP/);
    expect(alice.find('moved')).toBeUndefined();
    expect(await download(up), alice.output + bob.output).toBe(sum);
    alice.stop();
    expect(await alice.ended, alice.output).toBe(0);
    expect(await bob.ended, bob.output).toBe(0);
  });
});
