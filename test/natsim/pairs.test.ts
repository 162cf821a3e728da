import { expect, test } from 'vitest';
import { IMPOSSIBLE_AFTER_MS, SILENT_MAX_BYTES, SILENT_MAX_DATAGRAMS } from '../../src/constants.js';
import { feasibility, isForetold, isMoving } from '../../src/punch/feasibility.js';
import type { PunchMachine } from '../../src/punch/machine.js';
import type { PunchRole } from '../../src/wire/confirm.js';
import { type NatReport, UNMEASURED } from '../../src/wire/nat-report.js';
import { Random } from './random.js';
import {
  type Boxes,
  chained,
  hostileNat,
  machine,
  randomLink,
  randomNat,
  reaches,
  reportOf,
  scene,
  TIMEOUT_MS,
} from './scene.js';

const ROLES: readonly PunchRole[] = ['invite', 'accept'];

/** Their thousands of datagrams cost fifty times what another pair does. */
const BIRTHDAYS = 0.05;

interface Verdict {
  readonly expected: boolean;
  readonly done: readonly boolean[];
  readonly ms: number;
  /** Success is a matter of chance: 256 sockets and 2 048 probes, fewer with loss. */
  readonly lucky: boolean;
  /** Each side knows both reports. */
  readonly told: boolean;
  readonly problem?: string;
}

/** One random pair of NATs over one random link; all that must hold of it. */
function runPair(seed: number, confirmed: boolean, maxLoss: number): Verdict {
  const random = new Random(seed);
  const side = (): Boxes => {
    if (random.chance(0.12)) return [];
    if (confirmed && random.chance(0.1)) return [hostileNat()];
    return random.chance(0.15) ? chained(random) : [randomNat(random)];
  };
  const boxes = { invite: side(), accept: side() };
  const link = randomLink(random, maxLoss);
  const s = scene(boxes, link, random);
  const reports = { invite: reportOf(boxes.invite), accept: reportOf(boxes.accept) };
  const told = random.chance(0.5);
  const birthday = confirmed && random.chance(BIRTHDAYS);
  const confirmKey = random.bytes(32);
  const start = { accept: random.next() * 2000, invite: random.next() * 4000 };
  const machines: Partial<Record<PunchRole, PunchMachine>> = {};
  for (const role of ROLES) {
    const own = reports[role];
    const peer = reports[role === 'invite' ? 'accept' : 'invite'];
    s.world.start(s.hosts[role], start[role], (now) => {
      const made = machine(s, role, now, random, {
        ...(confirmed ? { confirmKey } : {}),
        ladder: confirmed,
        birthday,
        reports: told ? { own, peer } : { own: confirmed ? UNMEASURED : own, peer: UNMEASURED },
      });
      machines[role] = made;
      return made;
    });
  }
  const both = () => ROLES.every((role) => machines[role]?.outcome !== undefined);
  s.world.run(TIMEOUT_MS + 5_000, both);

  // A legacy frame does not say which one it answers: with both sides moving it can prove nothing.
  const provable = confirmed || !(isMoving(reports.invite) && isMoving(reports.accept));
  const plain = feasibility(reports.invite, reports.accept) !== 'impossible';
  const lucky = birthday && !plain && wideHelps(reports.invite, reports.accept);
  const expected = provable && (plain || lucky);
  const outcomes = ROLES.map((role) => machines[role]?.outcome);
  const done = outcomes.map((outcome) => outcome?.kind === 'done');
  const ms = s.world.now - Math.max(start.accept, start.invite);
  const verdict = (problem?: string): Verdict => ({
    expected,
    done,
    ms,
    lucky,
    told,
    ...(problem ? { problem } : {}),
  });
  if (!both()) return verdict('a side never ended');
  if (done[0] !== done[1]) return verdict('one side believes in a passage that the other does not have');
  if (expected && !lucky && !done[0]) return verdict('a passable pair failed');
  for (const role of ROLES) {
    const made = machines[role];
    const outcome = made?.outcome;
    if (!made || !outcome) return verdict('a side never ended');
    if (outcome.kind === 'done') {
      if (confirmed && !outcome.path.authentic) return verdict('success without the confirmation');
      if (!reaches(s, role, outcome.path, peerSocket(machines, role)))
        return verdict(`the passage of ${role} leads nowhere`);
    } else if (told && provable && !lucky && !made.heard && outcome.reason !== 'impossible') {
      return verdict('silence of an impassable pair did not end with the reason');
    }
    const { sent, sentBytes, wide } = made.stats;
    if (!made.heard && (sent - wide > SILENT_MAX_DATAGRAMS || sentBytes - 8 * wide > SILENT_MAX_BYTES)) {
      return verdict('too much sent to an address that never answered');
    }
  }
  if (
    !expected &&
    provable &&
    told &&
    !ROLES.some((role) => machines[role]?.heard) &&
    ms > IMPOSSIBLE_AFTER_MS + 4_000
  ) {
    return verdict('an impassable pair took too long to say so');
  }
  return verdict();
}

/** Do birthday sockets or prediction help where plain punching does not? */
function wideHelps(a: NatReport, b: NatReport): boolean {
  if (isMoving(a) && isMoving(b)) {
    return isForetold(a) || isForetold(b) || (a.portStep !== undefined && b.portStep !== undefined);
  }
  return isMoving(a) || isMoving(b);
}

/** The socket that the other side ended with. */
function peerSocket(machines: Partial<Record<PunchRole, PunchMachine>>, role: PunchRole): number | undefined {
  const outcome = machines[role === 'invite' ? 'accept' : 'invite']?.outcome;
  return outcome?.kind === 'done' ? outcome.path.socket : undefined;
}

function runMany(count: number, firstSeed: number, confirmed: boolean, maxLoss: number): Verdict[] {
  const verdicts: Verdict[] = [];
  const problems: string[] = [];
  for (let seed = firstSeed; seed < firstSeed + count; seed++) {
    const verdict = runPair(seed, confirmed, maxLoss);
    verdicts.push(verdict);
    if (verdict.problem) problems.push(`seed ${seed}: ${verdict.problem}`);
  }
  expect(problems).toEqual([]);
  return verdicts;
}

test('8 000 random pairs with the confirmation: no hang, no false success, every passable pair passes', {
  timeout: 300_000,
}, () => {
  const verdicts = runMany(8000, 1, true, 0.25);
  expect(verdicts.filter(({ expected }) => expected).length).toBeGreaterThan(4000);
  expect(verdicts.filter(({ expected }) => !expected).length).toBeGreaterThan(1000);
  const lucky = verdicts.filter((verdict) => verdict.lucky && verdict.told);
  expect(lucky.length).toBeGreaterThan(20);
  expect(lucky.filter(({ done }) => done[0]).length / lucky.length).toBeGreaterThan(0.95);
});

test('1 500 random pairs of awl peers without the confirmation hold the same', { timeout: 300_000 }, () => {
  const verdicts = runMany(1500, 500_001, false, 0.2);
  expect(verdicts.filter(({ expected }) => expected).length).toBeGreaterThan(700);
});

test('40 % loss delays but does not divide the two sides', { timeout: 300_000 }, () => {
  const verdicts = runMany(500, 900_001, true, 0.4);
  expect(verdicts.some(({ done }) => done[0])).toBe(true);
});
