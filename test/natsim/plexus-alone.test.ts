import { describe, expect, test } from 'vitest';
import { SILENT_MAX_DATAGRAMS } from '../../src/constants.js';
import { PLEXUS_SOCKETS } from '../../src/punch/limits.js';
import type { PunchMachine } from '../../src/punch/machine.js';
import type { Told } from '../../src/punch/plexus.js';
import type { Endpoint } from '../../src/util/endpoint.js';
import { UNMEASURED } from '../../src/wire/nat-report.js';
import { BEHAVIOURS, type NatType } from './nat.js';
import { PlexusAcceptor, PlexusInviter } from './plexus.js';
import { Random } from './random.js';
import { type Boxes, machine, reaches, reportOf, STUN_SERVER, scene, TIMEOUT_MS } from './scene.js';

/*
 * What our side alone can do toward a plexus 3.1, which sends to the one endpoint that our letter named and hears nothing
 * else (spec f).
 */
const APD = 'address-and-port-dependent';
const COUNTING: NatType = { mapping: APD, filtering: APD, ports: 'sequential' };
const RANDOM: NatType = { mapping: APD, filtering: APD, ports: 'random' };
const HOME: NatType = { mapping: 'endpoint-independent', filtering: APD, ports: 'preserve' };
const SEEDS = Array.from({ length: 60 }, (_, index) => 31_000 + index);
const ROLES = ['invite', 'accept'] as const;
type Role = (typeof ROLES)[number];

interface Pair {
  readonly ours: Boxes;
  readonly theirs: Boxes;
  readonly told: Told;
  /** Flows of others behind our NAT between the letter and the punch. */
  readonly others?: number;
  readonly loss?: number;
  /** A plexus 3.4 that our 3.3 text told of our mapping. */
  readonly toldAll?: boolean;
}

interface Result {
  readonly ours: PunchMachine;
  readonly end: string | undefined;
  readonly reached: boolean;
  /** When our side ended, from the start of the first. */
  readonly endedMs: number;
}

/** One session of ours in `role` against a plexus. */
function meet(role: Role, pair: Pair, seed: number): Result {
  const random = new Random(seed);
  const other: Role = role === 'invite' ? 'accept' : 'invite';
  const boxes = { [role]: pair.ours, [other]: pair.theirs } as Record<Role, Boxes>;
  const link = { loss: pair.loss ?? 0, duplicate: 0, delay: 25, jitter: 5, hops: 8 };
  const s = scene(boxes, link, random);
  const us = s.hosts[role];
  let flows = 900;
  const newest = () => us.outbound(STUN_SERVER, 0, flows++);
  // What the session does before (session/told.ts): name a port, and be just before it when the peer is known.
  const seen = newest();
  const named: Endpoint =
    pair.told === 'predicted' ? { ...seen, port: seen.port + PLEXUS_SOCKETS } : s.announced[role];
  for (let i = 0; i < (pair.others ?? 0); i++) newest();
  const made: { ours?: PunchMachine; theirs?: PlexusAcceptor | PlexusInviter } = {};
  const late = { accept: 0, invite: 300 };
  s.world.start(us, late[role], (now) => {
    const reports = { own: reportOf(pair.ours), peer: UNMEASURED };
    made.ours = machine(s, role, now, random, { reports, ...(!pair.toldAll && { plexus: pair.told }) });
    return made.ours;
  });
  s.world.start(s.hosts[other], late[other], (now) => {
    const generation = pair.toldAll ? '3.4.1' : '3.1.4';
    const common = { secret: s.secret, peer: named, hops: 4, timeoutMs: TIMEOUT_MS, generation } as const;
    const o = { ...common, ...(pair.toldAll && { anyPort: true }) };
    made.theirs = other === 'invite' ? new PlexusInviter(o, random, now) : new PlexusAcceptor(o, random, now);
    return made.theirs;
  });
  s.world.run(2 * TIMEOUT_MS, () => made.ours?.outcome !== undefined);
  const endedMs = s.world.now;
  s.world.run(2 * TIMEOUT_MS, () => made.theirs?.end !== undefined);
  if (!made.ours) throw new Error('our side never started');
  const { outcome } = made.ours;
  const reached = outcome?.kind === 'done' && reaches(s, role, outcome.path);
  return { ours: made.ours, end: made.theirs?.end, reached, endedMs };
}

describe.each(ROLES)('as the %s side', (role) => {
  test.each(BEHAVIOURS)('a NAT of ours that counts passes, the peer’s filter being %s', (filtering) => {
    for (const seed of SEEDS) {
      const result = meet(
        role,
        { ours: [COUNTING], theirs: [{ ...HOME, filtering }], told: 'predicted' },
        seed,
      );
      const { ours, end, reached } = result;
      expect([seed, ours.outcome?.kind, end, reached]).toEqual([seed, 'done', 'done', true]);
      expect(ours.stats.sent).toBeLessThanOrEqual(SILENT_MAX_DATAGRAMS);
    }
  });

  test('others may take some of the ports before us, and a fifth of all datagrams may be lost', () => {
    const pair = { ours: [COUNTING], theirs: [HOME], told: 'predicted', others: 5, loss: 0.2 } as const;
    const results = SEEDS.map((seed) => meet(role, pair, seed));
    expect(results.filter(({ ours, end }) => ours.outcome?.kind === 'done' && !end).length).toBe(0);
    const both = results.filter(({ end, reached }) => end === 'done' && reached).length;
    expect(both).toBeGreaterThanOrEqual(0.9 * SEEDS.length);
  });

  test('a NAT of ours that draws its ports does not, and says so within ten seconds', () => {
    for (const seed of SEEDS.slice(0, 10)) {
      const { ours, endedMs } = meet(role, { ours: [RANDOM], theirs: [HOME], told: 'reflexive' }, seed);
      expect(ours.outcome).toEqual({ kind: 'failed', reason: 'impossible' });
      expect(endedMs).toBeLessThanOrEqual(10_000);
      expect(ours.stats.sent).toBeLessThanOrEqual(SILENT_MAX_DATAGRAMS);
    }
  });

  test('a plexus that did not look at its own NAT, which counts, is found at one of the next ports', () => {
    for (const seed of SEEDS) {
      const pair = { ours: [HOME], theirs: [COUNTING], told: 'reflexive' } as const;
      const { ours, end, reached } = meet(role, pair, seed);
      expect([seed, ours.outcome?.kind, end, reached]).toEqual([seed, 'done', 'done', true]);
      expect(ours.stats.sent).toBeLessThanOrEqual(SILENT_MAX_DATAGRAMS);
    }
  });

  test('a plexus 3.4 that lets in anybody learns our random port, if our text says that it moves', () => {
    for (const seed of SEEDS) {
      const open: NatType = { ...HOME, filtering: 'endpoint-independent' };
      for (const theirs of [[], [open]]) {
        const pair = { ours: [RANDOM], theirs, told: 'reflexive', toldAll: true } as const;
        const { ours, end, reached } = meet(role, pair, seed);
        expect([seed, ours.outcome?.kind, end, reached]).toEqual([seed, 'done', 'done', true]);
      }
    }
  });
});
