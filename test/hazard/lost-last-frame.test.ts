import { describe, expect, test } from 'vitest';
import { decodeFrame } from '../../src/wire/handshake.js';
import { PlexusInviter } from '../natsim/plexus.js';
import { Random } from '../natsim/random.js';
import { CONE, machine, QUIET, scene, TIMEOUT_MS } from '../natsim/scene.js';
import type { Actor } from '../natsim/world.js';

/** An actor whose outgoing datagrams are dropped where `drop` says so. */
function muzzled<T extends Actor>(actor: T, drop: (data: Buffer, index: number) => boolean): T {
  const take = actor.take.bind(actor);
  let index = 0;
  actor.take = () => take().filter(({ data }) => !drop(data, index++));
  return actor;
}

function stage(seed: number) {
  const random = new Random(seed);
  return { random, s: scene({ invite: [CONE], accept: [CONE] }, QUIET, random) };
}

describe('spec i.4: the inviter sends its flag 1 once, and it is lost', () => {
  test.each([
    ['its payload speaks', true, 'traffic'],
    ['its payload waits', false, 'silence'],
  ])('we still pass when %s', (_what, payload, by) => {
    const { random, s } = stage(21);
    const accept = machine(s, 'accept', 0, random, {});
    const o = {
      secret: s.secret,
      peer: s.announced.accept,
      hops: 7,
      timeoutMs: TIMEOUT_MS,
      generation: '3.1.4',
    } as const;
    s.world.start(s.hosts.accept, 0, () => accept);
    s.world.start(s.hosts.invite, 100, (now) => {
      const plexus = new PlexusInviter(o, random, now);
      return muzzled(plexus, (data) => decodeFrame(s.secret, data)?.flag === 1);
    });
    if (payload)
      s.world.at(1500, () => s.world.send(s.hosts.invite, Buffer.from('hello'), s.announced.accept));
    s.world.run(TIMEOUT_MS, () => accept.outcome !== undefined);
    expect(accept.outcome).toMatchObject({ kind: 'done', by });
    expect(s.world.now).toBeLessThan(6000);
  });
});

describe('between awl peers, with the confirmation', () => {
  // Datagram n of one side is lost, for every n that there is: no single loss may divide the two sides.
  test.each(['invite', 'accept'] as const)(
    'any one, two or three lost datagrams of the %s side are recovered',
    (victim) => {
      for (let first = 0; first < 14; first++) {
        for (let length = 1; length <= 3; length++) {
          const { random, s } = stage(31 + first);
          const confirmKey = random.bytes(32);
          const sides = {
            accept: machine(s, 'accept', 0, random, { confirmKey }),
            invite: machine(s, 'invite', 100, random, { confirmKey }),
          };
          muzzled(sides[victim], (_data, index) => index >= first && index < first + length);
          s.world.start(s.hosts.accept, 0, () => sides.accept);
          s.world.start(s.hosts.invite, 100, () => sides.invite);
          s.world.run(TIMEOUT_MS, () => Boolean(sides.accept.outcome && sides.invite.outcome));
          expect([first, length, sides.accept.outcome?.kind, sides.invite.outcome?.kind]).toEqual([
            first,
            length,
            'done',
            'done',
          ]);
          expect(s.world.now).toBeLessThan(5000);
        }
      }
    },
  );
});
