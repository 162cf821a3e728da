import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { beside, carriesData, echoes, forgedTunnel, type Make } from '../support/forged-tunnel.js';
import { ackOf, forge, seqOf, UDX } from '../support/forger.js';

function sacks(...ranges: readonly (readonly [number, number])[]): Buffer {
  const body = Buffer.alloc(8 * ranges.length);
  for (const [index, [from, to]] of ranges.entries()) {
    body.writeUInt32LE(from >>> 0, 8 * index);
    body.writeUInt32LE(to >>> 0, 8 * index + 4);
  }
  return body;
}

const QUICK: Readonly<Record<string, Make>> = {
  'another reset': (packet) => [forge(packet, UDX.destroy)],
  'other bytes in place of the true ones': (packet) => [forge(packet, UDX.data, { body: randomBytes(600) })],
  'bytes far ahead': (packet) =>
    [40, 4000, 2 ** 20, 2 ** 30].map((by) =>
      forge(packet, UDX.data, { seq: seqOf(packet) + by, body: randomBytes(1000) }),
    ),
  'a message that belongs to no stream': (packet) => [forge(packet, UDX.message, { body: randomBytes(900) })],
  'acknowledgements of what was never sent': (packet) =>
    [1000, 2 ** 20, 2 ** 31 - 1, -100].map((by) => forge(packet, 0, { ack: ackOf(packet) + by })),
  'ranges that cannot be': (packet) => {
    const ack = ackOf(packet);
    const ranges = [
      [ack - 50, ack + 10],
      [ack + 2 ** 20, ack + 2 ** 30],
      [ack + 7, ack + 3],
    ] as const;
    return [forge(packet, UDX.sack, { body: sacks(...ranges) })];
  },
};

test('forged packets on the path cost a new path at most: every byte arrives, and is the true one', async () => {
  const { alice, forger, session, stop, client } = await forgedTunnel();
  await echoes(client, 100_000);
  for (const [what, make] of Object.entries(QUICK)) {
    const before = forger.forged;
    forger.attack = beside(make, what !== 'another reset');
    await echoes(client, 400_000);
    expect(forger.forged, what).toBeGreaterThan(before);
  }
  const breaks = alice.events.filter(({ event }) => event === 'reconnecting').length;
  expect(breaks).toBeGreaterThanOrEqual(2);
  expect(breaks).toBeLessThanOrEqual(Object.keys(QUICK).length);
  stop.abort();
  expect(await session).toBe(0);
});

test.each<[what: string, byInviter: boolean, make: Make]>([
  ['a reset', true, (packet) => [forge(packet, UDX.destroy)]],
  ['a reset toward the inviter', false, (packet) => [forge(packet, UDX.destroy)]],
  ['other bytes', true, (packet) => [forge(packet, UDX.data, { body: randomBytes(60) })]],
])(
  'forged beside the very first words, %s costs another path, not the session',
  async (_what, byInviter, make) => {
    let left = 2;
    const { forger, session, stop, dial } = await forgedTunnel(undefined, (packet, fromInviter) => {
      if (left === 0 || fromInviter !== byInviter) return undefined;
      left -= 1;
      return { packets: make(packet) };
    });
    // Where only one side has got the other's words, what connects at once is reset with that path.
    const works = () =>
      echoes(dial(), 10_000).then(
        () => true,
        () => false,
      );
    await expect.poll(works, { timeout: 40_000, interval: 200 }).toBe(true);
    expect(forger.forged).toBe(2);
    stop.abort();
    expect(await session).toBe(0);
  },
);

test('where every path is cut the inviter gives up after nine, and says why', async () => {
  const { alice, forger, session, client } = await forgedTunnel();
  client.on('data', () => {});
  forger.attack = (packet, fromInviter) =>
    fromInviter && carriesData(packet) ? { packets: [forge(packet, UDX.destroy)] } : undefined;
  client.write(randomBytes(3_000_000));
  await expect(session).rejects.toMatchObject({
    code: 'TUNNEL_LOST',
    message: expect.stringContaining('its path broke 9 times within 60 s'),
    hint: expect.stringContaining('forged'),
  });
  expect(alice.events.filter(({ event }) => event === 'reconnecting')).toHaveLength(8);
});
