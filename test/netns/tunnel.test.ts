import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AwlProcess } from '../support/awl.js';
import { Lab } from '../support/lab.js';
import { LabPair } from '../support/lab-awl.js';
import { needs } from '../support/needs.js';
import { tempDir } from '../support/tmp.js';

const ready = needs('root', 'ip', 'nft', 'python3');
const WEB_PORT = 8000;
const SLOW_PORT = 8001;
const MB20 = 20_000_000;
/** Sends the file in pieces, 4 MB a second; the client says when it begins, and the sum when it has everything. */
const SLOW_SERVER = `
  const data = require('fs').readFileSync(process.argv[1]);
  require('net').createServer((s) => {
    let at = 0;
    const timer = setInterval(() => {
      s.write(data.subarray(at, (at += 80_000)));
      if (at >= data.length) { clearInterval(timer); s.end(); }
    }, 20);
  }).listen(8001, '127.0.0.1');`;
const SLOW_CLIENT = `
  const hash = require('crypto').createHash('sha256');
  require('net').connect(8082, '127.0.0.1', () => console.log('begun'))
    .on('data', (d) => hash.update(d)).on('end', () => console.log(hash.digest('hex')));`;

/** a -- NAT (port-restricted) -- 6 routers, 5 ms and 1 % loss each way -- NAT (port-restricted) -- b */
describe.skipIf(!ready)('the tunnel through two kernel NATs and 1 % loss', () => {
  let lab: Lab;
  let folder: string;
  let pair: LabPair;
  let sum: string;

  beforeAll(async () => {
    folder = tempDir();
    pair = await LabPair.make();
    mkdirSync(join(folder, 'web'));
    const data = randomBytes(MB20);
    sum = createHash('sha256').update(data).digest('hex');
    writeFileSync(join(folder, 'web', 'file'), data);
    lab = await Lab.up('tunnel', {
      a: 'port-restricted',
      b: 'port-restricted',
      hops: 6,
      delay: '5ms',
      loss: '1%',
    });
    await lab.stun();
    lab.spawn(
      'b',
      'python3',
      ['-m', 'http.server', '-b', '127.0.0.1', '-d', join(folder, 'web'), String(WEB_PORT)],
      {
        stdio: 'ignore',
      },
    );
    lab.spawn('b', process.execPath, ['-e', SLOW_SERVER, join(folder, 'web/file')], { stdio: 'ignore' });
    for (const port of [WEB_PORT, SLOW_PORT]) await listening(port);
  }, 60_000);
  afterAll(async () => {
    await lab?.down();
  });

  async function listening(port: number): Promise<void> {
    const limit = performance.now() + 10_000;
    const look = () => lab.run('b', 'ss', ['-ltn', `sport = :${port}`]);
    while (!(await look()).stdout.includes(`:${port}`)) {
      if (performance.now() > limit) throw new Error(`nothing listens on ${port}`);
    }
  }

  function awl(role: 'a' | 'b', rendezvous: string, ...args: string[]): AwlProcess {
    const letters = ['--rendezvous=file', `--file-dir=${rendezvous}`];
    return pair.start(lab, role, role, '--stun-server=192.0.2.10', ...letters, ...args);
  }

  async function accepting(rendezvous: string, ...args: string[]): Promise<AwlProcess> {
    const bob = awl('b', rendezvous, '--accept', ...args);
    await bob.event('listening');
    return bob;
  }
  const download = `
    const hash = require('crypto').createHash('sha256');
    require('http').get('http://127.0.0.1:8080/file', (r) => r.on('data', (d) => hash.update(d)).on('end', () => {
      console.log(hash.digest('hex'));
    }));`;

  test('a web server behind one NAT is downloaded from whole behind the other, and both ends close in order', async () => {
    const rendezvous = tempDir();
    const bob = await accepting(rendezvous, '--once', `--export=${WEB_PORT}`);
    const alice = awl('a', rendezvous, `--import=8080:${WEB_PORT}`);
    const open = await alice.event('tunnel-open');
    expect(open).toMatchObject({ imports: ['127.0.0.1:8080'], offered: [`tcp:127.0.0.1:${WEB_PORT}`] });
    expect(open.at - (alice.find('passage')?.at ?? 0)).toBeLessThan(8000);
    const got = await lab.run('a', process.execPath, ['-e', download], { timeoutMs: 40_000 });
    expect(got.stdout.trim(), got.stderr + alice.output + bob.output).toBe(sum);
    alice.stop();
    expect(await alice.ended, alice.output).toBe(0);
    expect(await bob.ended, bob.output).toBe(0);
    expect(bob.find('tunnel-closed')?.reason).toBe('the peer closed the tunnel');
  });

  /** The NAT of a gets another public address, as after a reboot: it has forgotten every mapping. */
  const moveNat = async () => {
    const done = await lab.run('nata', 'sh', [
      '-ec',
      'route=$(ip route show default); ip addr del 198.51.100.10/25 dev wan; ip addr add 198.51.100.11/25 dev wan; ip route replace $route',
    ]);
    expect(done.status, done.stderr).toBe(0);
  };

  test('a NAT that moves costs a pause: the download goes on over another path, bit for bit; a peer that vanishes is noticed within 15 s', async () => {
    const [here, there] = [tempDir(), tempDir()];
    const lonely = await accepting(there, '--once', `--export=${WEB_PORT}`);
    const waiting = awl('a', there, '--reconnect-timeout=0', `--import=8081:${WEB_PORT}`);
    const bob = await accepting(here, '--once', `--export=${SLOW_PORT}`);
    const alice = awl('a', here, `--import=8082:${SLOW_PORT}`);
    await Promise.all([alice.event('tunnel-open'), bob.event('tunnel-open'), waiting.event('tunnel-open')]);
    const gone = performance.now();
    lonely.stop('SIGKILL');
    const client = lab.spawn('a', process.execPath, ['-e', SLOW_CLIENT]);
    let got = '';
    client.stdout?.on('data', (text) => {
      got += text;
    });
    await expect.poll(() => got, { timeout: 10_000 }).toContain('begun');
    await moveNat();
    expect(await waiting.ended, waiting.output).toBe(75);
    expect(performance.now() - gone).toBeLessThan(15_500);
    expect(waiting.find('failed')).toMatchObject({ code: 'TUNNEL_LOST' });
    expect((await alice.event('reconnecting')).at - gone).toBeLessThan(15_500);
    await alice.event('reconnected');
    // Whichever way the last byte went: the acceptor notices by itself, or its peer is back before that.
    const back = () =>
      [...bob.all('reconnected'), ...bob.all('moved')].map((event) => ('path' in event ? event.path : ''));
    await expect.poll(back).toContain('udp');
    await expect.poll(() => got, { timeout: 20_000 }).toContain(sum);
    alice.stop();
    expect(await alice.ended, alice.output).toBe(0);
    expect(await bob.ended, bob.output).toBe(0);
  });
});
