import { expect, test } from 'vitest';
import type { PunchMachine } from '../../src/punch/machine.js';
import type { PunchRole } from '../../src/wire/confirm.js';
import type { Behaviour, NatType } from './nat.js';
import { Random } from './random.js';
import { machine, reaches, reportOf, scene } from './scene.js';

const ROLES: readonly PunchRole[] = ['invite', 'accept'];
const LINK = { loss: 0, duplicate: 0, delay: 25, jitter: 5, hops: 8 };
const APD = 'address-and-port-dependent';
const RANDOM: NatType = { mapping: APD, filtering: APD, ports: 'random' };
const SEEDS = Array.from({ length: 40 }, (_, index) => 4_000 + index);

/** A NAT that counts, in this role, against one that draws its ports at random. */
function run(counting: PunchRole, mapping: Behaviour, seed: number) {
  const random = new Random(seed);
  const boxes = {
    invite: [RANDOM],
    accept: [RANDOM],
    [counting]: [{ mapping, filtering: APD, ports: 'sequential' } as const],
  };
  const s = scene(boxes, LINK, random);
  const confirmKey = random.bytes(32);
  const machines: Partial<Record<PunchRole, PunchMachine>> = {};
  for (const role of ROLES) {
    const reports = {
      own: reportOf(boxes[role]),
      peer: reportOf(boxes[role === 'invite' ? 'accept' : 'invite']),
    };
    s.world.start(s.hosts[role], role === 'invite' ? 200 : 0, (now) => {
      const made = machine(s, role, now, random, { confirmKey, ladder: true, birthday: true, reports });
      machines[role] = made;
      return made;
    });
  }
  s.world.run(40_000, () => ROLES.every((role) => machines[role]?.outcome !== undefined));
  const [inviter, acceptor] = ROLES.map((role) => machines[role]?.outcome);
  if (inviter?.kind !== 'done' || acceptor?.kind !== 'done') return { met: false, inviter, acceptor };
  return { met: reaches(s, 'invite', inviter.path, acceptor.path.socket), inviter, acceptor };
}

test.each(ROLES)(
  'a NAT of the %s side that counts and gives each address one port meets one that draws them',
  (role) => {
    const met = SEEDS.filter((seed) => run(role, 'address-dependent', seed).met);
    expect(met.length).toBeGreaterThanOrEqual(0.95 * SEEDS.length);
  },
);

test.each(ROLES)('one of the %s side that counts with every port as well does not, and says so', (role) => {
  for (const seed of SEEDS.slice(0, 5)) {
    const { inviter, acceptor } = run(role, APD, seed);
    const impossible = { kind: 'failed', reason: 'impossible' };
    expect([inviter, acceptor]).toEqual([impossible, impossible]);
  }
});
