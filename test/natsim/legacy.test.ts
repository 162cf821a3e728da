import { expect, test } from 'vitest';
import type { PunchMachine } from '../../src/punch/machine.js';
import { UNMEASURED } from '../../src/wire/nat-report.js';
import { BEHAVIOURS, type NatType } from './nat.js';
import { PlexusAcceptor, PlexusInviter } from './plexus.js';
import { Random } from './random.js';
import { machine, randomLink, reaches, reportOf, scene, TIMEOUT_MS } from './scene.js';

/** plexus gives up before it invites where its mapping depends on the destination; so both sides are cones here. */
function cone(random: Random): NatType {
  return { mapping: 'endpoint-independent', filtering: random.pick(BEHAVIOURS), ports: 'preserve' };
}

type Role = 'invite' | 'accept';
type Generation = '3.1.4' | '3.4.1';

interface Result {
  readonly ours: PunchMachine;
  readonly theirs: PlexusAcceptor | PlexusInviter;
  readonly reachesPeer: boolean;
}

/** One session of ours in `role` against plexus in the other; `payload` is what its side sends once it is done. */
function session(
  seed: number,
  role: Role,
  generation: Generation,
  maxLoss: number,
  payload: boolean,
): Result {
  const random = new Random(seed);
  const boxes = { invite: [cone(random)], accept: [cone(random)] };
  const s = scene(boxes, randomLink(random, maxLoss), random);
  const other: Role = role === 'invite' ? 'accept' : 'invite';
  const late = { accept: 0, invite: random.next() * 1000 };
  const made: { ours?: PunchMachine; theirs?: PlexusAcceptor | PlexusInviter } = {};
  s.world.start(s.hosts[role], late[role], (now) => {
    made.ours = machine(s, role, now, random, { reports: { own: reportOf(boxes[role]), peer: UNMEASURED } });
    return made.ours;
  });
  s.world.start(s.hosts[other], late[other], (now) => {
    const o = { secret: s.secret, peer: s.announced[role], hops: 4, timeoutMs: TIMEOUT_MS, generation };
    made.theirs = other === 'invite' ? new PlexusInviter(o, random, now) : new PlexusAcceptor(o, random, now);
    return made.theirs;
  });
  if (payload) {
    for (let at = 0; at < TIMEOUT_MS; at += 500) {
      s.world.at(at, () => {
        if (made.theirs?.end !== 'done') return;
        s.world.send(s.hosts[other], Buffer.from('first words of a payload'), s.announced[role]);
      });
    }
  }
  s.world.run(2 * TIMEOUT_MS, () => made.ours?.outcome !== undefined && made.theirs?.end !== undefined);
  if (!made.ours || !made.theirs) throw new Error('a side never started');
  const outcome = made.ours.outcome;
  return {
    ours: made.ours,
    theirs: made.theirs,
    reachesPeer: outcome?.kind === 'done' && reaches(s, role, outcome.path),
  };
}

const SEEDS = Array.from({ length: 300 }, (_, index) => 7000 + index);

for (const role of ['invite', 'accept'] as const) {
  for (const generation of ['3.1.4', '3.4.1'] as const) {
    const other = role === 'invite' ? 'acceptor' : 'inviter';

    test(`as the ${role} side we never send a plexus ${generation} ${other} what it dies of`, () => {
      for (const seed of SEEDS) {
        const { ours, theirs } = session(seed, role, generation, 0, false);
        expect([seed, ours.outcome?.kind, theirs.end]).toEqual([seed, 'done', 'done']);
      }
    });

    test(`as the ${role} side we and a plexus ${generation} ${other} get through 20 % loss`, () => {
      let both = 0;
      for (const seed of SEEDS) {
        const { ours, theirs, reachesPeer } = session(seed, role, generation, 0.2, true);
        expect([seed, theirs.end === 'killed']).toEqual([seed, false]);
        if (ours.outcome?.kind === 'done') expect([seed, reachesPeer]).toEqual([seed, true]);
        if (ours.outcome?.kind === 'done' && theirs.end === 'done') both += 1;
      }
      // plexus sends its last datagrams once: an acceptor of 3.4.1 that loses both of them is gone for good.
      expect(both).toBeGreaterThanOrEqual(SEEDS.length * 0.98);
    });
  }
}

test('an inviter whose only flag 1 was lost and whose payload is silent is believed after 2.5 slots', () => {
  let bySilence = 0;
  for (const seed of SEEDS) {
    const { ours, theirs } = session(seed, 'accept', '3.1.4', 0.3, false);
    if (theirs.end !== 'done' || ours.outcome?.kind !== 'done') continue;
    if (ours.outcome.by === 'silence') bySilence += 1;
  }
  expect(bySilence).toBeGreaterThan(5);
});

test('a plexus acceptor costs a dozen datagrams at most where nothing is lost', () => {
  const { ours, theirs } = session(7001, 'invite', '3.1.4', 0, false);
  expect(theirs.end).toBe('done');
  expect(ours.stats.sent).toBeLessThan(12);
});
