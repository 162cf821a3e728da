import { afterEach, describe, expect, test } from 'vitest';
import { hasOffload } from '../../src/util/offload.js';
import { Lab } from '../support/lab.js';
import { LabPair } from '../support/lab-awl.js';
import { needs } from '../support/needs.js';

const ready = needs('root', 'ip', 'nft', 'python3') && hasOffload();
const PATH_MTU = 1400;
const NARROW_MTU = 1000;
/** 1400 less 20 for IPv4, 8 for UDP and 30 of ours. */
const IN_ONE_PIECE = 1342;
const METRICS = '127.0.0.1:9469';

const ECHO = `
  const socket = require('dgram').createSocket('udp4');
  socket.on('message', (data, from) => socket.send(data, from.port, from.address)).bind(5300, '127.0.0.1');
  require('net').createServer((one) => one.on('error', () => {}).pipe(one)).listen(5301, '127.0.0.1');`;
/** Sends 3 MB through a connection, and prints whether they come back. */
const STREAM = `
  const { createHash, randomBytes } = require('crypto');
  const [data, got] = [randomBytes(3e6), createHash('sha256')];
  const socket = require('net').connect(5301, '127.0.0.1');
  socket.on('data', (piece) => got.update(piece)).on('end', () => {
    console.log(got.digest('hex') === createHash('sha256').update(data).digest('hex') ? 'whole' : 'changed');
  });
  socket.end(data);`;
/** Sends one datagram of so many bytes until it is back, and prints how long it is. */
const ASK = `
  const socket = require('dgram').createSocket('udp4');
  const data = Buffer.alloc(Number(process.argv[1]), 7);
  const send = () => socket.send(data, 5300, '127.0.0.1');
  const again = setInterval(send, 500);
  socket.on('message', (answer) => {
    console.log(answer.equals(data) ? answer.length : 'changed');
    clearInterval(again);
    socket.close();
  });
  send();`;
const SCRAPE = `fetch('http://${METRICS}/metrics').then((r) => r.text()).then(console.log, () => {});`;

let lab: Lab | undefined;
afterEach(async () => {
  await lab?.down();
  lab = undefined;
});

/** a -- NAT -- router -- 1400 bytes -- router -- NAT -- b */
describe.skipIf(!ready)('a path with a smaller MTU than either end', () => {
  test('is found out: what passes in one piece is told, and what does not comes whole all the same', async () => {
    const up = await Lab.up('mtu', { a: 'port-restricted', b: 'port-restricted', hops: 2 });
    lab = up;
    const takes = async (mtu: number) => {
      for (const [role, device] of [
        ['i1', 'next'],
        ['i2', 'prev'],
      ] as const) {
        const done = await up.run(role, 'ip', ['link', 'set', device, 'mtu', `${mtu}`]);
        expect(done.status, done.stderr).toBe(0);
      }
    };
    await takes(PATH_MTU);
    await up.stun();
    up.spawn('b', process.execPath, ['-e', ECHO], { stdio: 'ignore' });
    const pair = await LabPair.make();
    const stun = '--stun-server=192.0.2.10';
    const bob = pair.start(up, 'b', 'b', stun, '--accept', '--once', '--export=5301,udp:5300');
    await bob.event('listening');
    const alice = pair.start(up, 'a', 'a', stun, '--import=5301,udp:5300', `--metrics=${METRICS}`);
    await alice.event('tunnel-open');
    const told = async () => {
      const { stdout } = await up.run('a', process.execPath, ['-e', SCRAPE]);
      return Number(/^awl_tunnel_datagram_max_bytes\S* (\d+)$/m.exec(stdout)?.[1]);
    };
    await expect.poll(told, { timeout: 30_000, interval: 300 }).toBe(IN_ONE_PIECE);
    for (const bytes of [IN_ONE_PIECE, 1442]) {
      const { stdout } = await up.run('a', process.execPath, ['-e', ASK, `${bytes}`]);
      expect(stdout.trim(), alice.output + bob.output).toBe(`${bytes}`);
    }
    const warning = `a datagram of 1442 bytes goes in fragments; the path takes ${IN_ONE_PIECE} in one piece`;
    await expect.poll(() => alice.output).toContain(warning);
    // As wide as passes; and then shorter than the shortest segments, so they go in fragments.
    for (const mtu of [PATH_MTU, NARROW_MTU]) {
      await takes(mtu);
      const { stdout } = await up.run('a', process.execPath, ['-e', STREAM]);
      expect(stdout.trim(), alice.output + bob.output).toBe('whole');
    }
    expect(alice.output).not.toContain('reconnecting');
    alice.stop();
    expect(await alice.ended, alice.output).toBe(0);
    expect(await bob.ended, bob.output).toBe(0);
  });
});
