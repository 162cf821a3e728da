import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { Random } from '../natsim/random.js';
import { CONE, machine, QUIET, reaches, scene, TIMEOUT_MS } from '../natsim/scene.js';

test.each([true, false])(
  'wrong, short, long and empty datagrams of the peer endpoint are counted and end nothing (key: %s)',
  (withKey) => {
    const random = new Random(11);
    const s = scene({ invite: [CONE], accept: [CONE] }, QUIET, random);
    const key = withKey ? { confirmKey: random.bytes(32) } : {};
    const accept = machine(s, 'accept', 0, random, key);
    const invite = machine(s, 'invite', 0, random, key);
    const bad = [0, 1, 7, 8, 9, 31, 32, 33, 1500].map((length) => Buffer.alloc(length, 0x5a));
    for (const data of bad) {
      accept.datagram(s.announced.invite, data, 0);
      invite.datagram(s.announced.accept, data, 0);
    }
    expect(accept.stats.bad).toBeGreaterThanOrEqual(8);
    expect(accept.outcome).toBeUndefined();
    s.world.start(s.hosts.accept, 0, () => accept);
    s.world.start(s.hosts.invite, 100, () => invite);
    s.world.run(TIMEOUT_MS, () => Boolean(accept.outcome && invite.outcome));
    expect([accept.outcome?.kind, invite.outcome?.kind]).toEqual(['done', 'done']);
    expect(reaches(s, 'invite', { socket: 0, endpoint: s.announced.accept })).toBe(true);
  },
);

test('random datagrams of any length never make the machine throw or send to strangers', () => {
  const random = new Random(12);
  const s = scene({ invite: [CONE], accept: [CONE] }, QUIET, random);
  const one = machine(s, 'accept', 0, random, { confirmKey: random.bytes(32) });
  for (let n = 0; n < 20_000; n++) {
    const from = { address: `198.51.100.${n % 250}`, port: 1024 + (n % 60_000) };
    one.datagram(from, randomBytes(n % 70), n);
    one.tick(n);
  }
  const strangers = one.take().filter(({ to }) => to.address !== s.announced.invite.address);
  // 8-byte datagrams are valid by chance, 1 in 256; each of those may draw a bounded answer.
  expect(strangers.length).toBeLessThan(500);
  expect(one.outcome).toBeUndefined();
});
