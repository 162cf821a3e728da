import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { firstCount, greet } from '../../../src/tunnel/greeting.js';
import type { Tunnel } from '../../../src/tunnel/tunnel.js';
import { countFrame, encodeFrame } from '../../../src/wire/tunnel-frame.js';
import { type CarrierPair, carrierPair, memoryTunnels } from '../../support/carriers.js';

const sha = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

/** Opens that echo what they get. */
const echoing = {
  onOpen: (tunnel: Tunnel, id: number) => {
    const channel = tunnel.adopt(id);
    channel.pipe(channel);
    tunnel.mux.accept(id);
    return channel;
  },
};

/** Small numbers that differ from run to run and can be had again: `state` is the seed. */
function numbers(state: number): (max: number) => number {
  let x = state;
  return (max) => {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    return (x >>> 8) % max;
  };
}

for (const secure of [false, true]) {
  test(`3 MB and back survive 12 cuts at any place bit for bit, ${secure ? 'bare' : 'sealed'}`, async () => {
    const seed = Date.now() % 100_000;
    const random = numbers(seed);
    const fresh = () => carrierPair({ secure, piece: () => 1 + random(90_000) });
    let pair: CarrierPair = fresh();
    const tunnels = await memoryTunnels(pair, { accept: echoing });
    const data = randomBytes(3_000_000);
    const channel = tunnels.invite.connect('tcp:127.0.0.1:1');
    const got: Buffer[] = [];
    channel.on('data', (piece) => got.push(piece));
    const over = once(channel, 'end');
    channel.end(data);
    for (let cut = 0; cut < 12; cut++) {
      for (let turns = random(40); turns > 0; turns--) await new Promise(setImmediate);
      const old = pair;
      pair = fresh();
      // Every third time the old one still works: moving is not only for what broke.
      if (cut % 3 > 0) old.cut();
      await tunnels.move(pair);
      await expect.poll(() => [...old.closed].sort()).toEqual(['accept', 'invite']);
    }
    await over;
    expect(sha(Buffer.concat(got)), `seed ${seed}`).toBe(sha(data));
    expect(tunnels.invite.stats).toMatchObject({
      state: 'open',
      path: 'memory',
      reconnects: 8,
      moves: 4,
      opened: 1,
    });
    await tunnels.invite.close('done');
    expect(await tunnels.accept.closed).toBe('the peer closed the tunnel');
    expect([...pair.closed].sort()).toEqual(['accept', 'invite']);
  });
}

test('a connection that is opened, written and ended while there is no path works when there is one', async () => {
  const first = carrierPair();
  const lost: string[] = [];
  const tunnels = await memoryTunnels(first, {
    accept: echoing,
    invite: { onLost: (error) => lost.push(error.code) },
  });
  first.cut();
  expect(lost).toEqual(['TUNNEL_LOST']);
  expect(tunnels.invite.stats.state).toBe('reconnecting');
  const channel = tunnels.invite.connect('tcp:127.0.0.1:1');
  channel.end('said into the void');
  const got: Buffer[] = [];
  channel.on('data', (piece) => got.push(piece));
  await tunnels.move(carrierPair());
  await once(channel, 'end');
  expect(Buffer.concat(got).toString()).toBe('said into the void');
  await tunnels.accept.close('done');
});

test('datagrams go on too, those under way are lost, and one too large is refused', async () => {
  const pair = carrierPair();
  const tunnels = await memoryTunnels(pair);
  const got: string[] = [];
  tunnels.accept.onDatagrams(1, (payload) => got.push(payload.toString()));
  tunnels.invite.mux.open('udp:127.0.0.1:1', echoing.onOpen(tunnels.invite, 1), true);
  expect(tunnels.invite.sendDatagram(1, Buffer.from('one'))).toBe(true);
  await expect.poll(() => got).toEqual(['one']);
  pair.cut();
  tunnels.invite.sendDatagram(1, Buffer.from('lost'));
  await tunnels.move(carrierPair());
  tunnels.invite.sendDatagram(1, Buffer.from('two'));
  expect(tunnels.invite.sendDatagram(1, Buffer.alloc(1446))).toBe(false);
  await expect.poll(() => got).toEqual(['one', 'two']);
  await tunnels.accept.close('done');
});

test('without a new path the tunnel ends after its time, and says for what it waited', async () => {
  const pair = carrierPair();
  const tunnels = await memoryTunnels(pair, { invite: { reconnectMs: 50 }, accept: { reconnectMs: 0 } });
  pair.cut();
  await expect(tunnels.accept.closed).rejects.toThrow('cut');
  await expect(tunnels.invite.closed).rejects.toMatchObject({
    code: 'TUNNEL_LOST',
    message: expect.stringContaining('no new path'),
  });
  expect(tunnels.invite.stats.state).toBe('closed');
});

test('a new path that breaks before the peer goes on leaves the tunnel waiting for the next one', async () => {
  const pair = carrierPair();
  const tunnels = await memoryTunnels(pair, { accept: echoing });
  pair.cut();
  const broken = carrierPair();
  const [a] = await Promise.all([
    greet({ carrier: broken.invite, hello: { exports: [], resume: tunnels.invite.token } }),
    greet({ carrier: broken.accept, hello: { exports: [] } }),
  ]);
  const attaching = tunnels.invite.attach(a);
  broken.cut();
  await expect(attaching).rejects.toMatchObject({ code: 'TUNNEL_LOST' });
  expect(tunnels.invite.stats.state).toBe('reconnecting');
  await tunnels.move(carrierPair());
  const channel = tunnels.invite.connect('x');
  channel.write('still here');
  expect(String((await once(channel, 'data'))[0])).toBe('still here');
  await tunnels.invite.close('done');
});

test('a peer that goes on where nothing is left ends the tunnel instead of guessing', async () => {
  const pair = carrierPair();
  const tunnels = await memoryTunnels(pair);
  pair.cut();
  const next = carrierPair();
  const [a, b] = await Promise.all([
    greet({ carrier: next.invite, hello: { exports: [], resume: tunnels.invite.token } }),
    greet({ carrier: next.accept, hello: { exports: [] } }),
  ]);
  const attaching = tunnels.invite.attach(a);
  expect(await firstCount(b.link)).toBe(0);
  b.link.write(encodeFrame(countFrame('resume', 99)));
  await attaching;
  await expect(tunnels.invite.closed).rejects.toMatchObject({ code: 'MESSAGE_MALFORMED' });
  await tunnels.accept.close('done');
});
