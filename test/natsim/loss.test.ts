import { expect, test } from 'vitest';
import type { PunchMachine } from '../../src/punch/machine.js';
import type { PunchRole } from '../../src/wire/confirm.js';
import { isBirthday, isEasy, KINDS, type Kind, PAIRS } from './kinds.js';
import { Random } from './random.js';
import { machine, reaches, reportOf, scene } from './scene.js';

const ROLES: readonly PunchRole[] = ['invite', 'accept'];
/** A round trip of 50 ms. */
const LINK = { duplicate: 0, delay: 25, jitter: 0, hops: 8 };
const RTT_MS = 50;
/** What the acceptor is ahead: its answer takes this long. */
const LEADS_MS = [20, 170, 320, 2_000];

interface Result {
  readonly pair: readonly [Kind, Kind];
  readonly name: string;
  /** From both references known to the path in the hands of both sides; infinite if there was none. */
  readonly endMs: number;
  /** The same to the proof at the inviter's. */
  readonly provenMs: number;
  /** Each side knows where the other sees it. */
  readonly told: boolean;
}

/** One session in fake time. */
function run(pair: readonly [Kind, Kind], seed: number, loss: number): Result {
  const random = new Random(seed);
  const lead = LEADS_MS[seed % LEADS_MS.length] ?? 0;
  const boxes = { invite: KINDS[pair[0]], accept: KINDS[pair[1]] };
  const s = scene(boxes, { ...LINK, loss }, random);
  const confirmKey = random.bytes(32);
  const machines: Partial<Record<PunchRole, PunchMachine>> = {};
  for (const role of ROLES) {
    const other = role === 'invite' ? 'accept' : 'invite';
    const reports = { own: reportOf(boxes[role]), peer: reportOf(boxes[other]) };
    s.world.start(s.hosts[role], role === 'invite' ? lead : 0, (now) => {
      const made = machine(s, role, now, random, { confirmKey, ladder: true, birthday: true, reports });
      machines[role] = made;
      return made;
    });
  }
  const outcomes = () => ROLES.map((role) => machines[role]?.outcome);
  s.world.run(70_000, () => outcomes().every((outcome) => outcome !== undefined));
  const name = `${pair.join(' invites ')}, seed ${seed}`;
  const endMs = s.world.now - lead;
  const provenMs = (machines.invite?.provenAt ?? Number.POSITIVE_INFINITY) - lead;
  const [inviter, acceptor] = outcomes();
  if (inviter?.kind !== 'done' || acceptor?.kind !== 'done') {
    return { pair, name, endMs: Infinity, provenMs, told: false };
  }
  expect([name, reaches(s, 'invite', inviter.path, acceptor.path.socket)]).toEqual([name, true]);
  expect([name, reaches(s, 'accept', acceptor.path, inviter.path.socket)]).toEqual([name, true]);
  for (const [own, peer] of [
    [inviter.path, acceptor.path],
    [acceptor.path, inviter.path],
  ] as const) {
    if (own.seen) expect([name, own.seen]).toEqual([name, peer.endpoint]);
  }
  const told = inviter.path.seen !== undefined && acceptor.path.seen !== undefined;
  return { pair, name, endMs, provenMs, told };
}

function runAll(seeds: number, loss: number): Result[] {
  const all = Array.from({ length: seeds }, (_, index) => 77_000 + index);
  return PAIRS.flatMap((pair) => all.map((seed) => run(pair, seed, loss)));
}

const median = (list: readonly number[]) => [...list].sort((a, b) => a - b)[list.length >> 1] ?? Infinity;

test('20 % loss: every feasible pair is there within 5 s in both roles, birthday pairs within 12 s', {
  timeout: 300_000,
}, () => {
  const late = runAll(24, 0.2).filter(({ pair, endMs }) => endMs > (isBirthday(...pair) ? 12_000 : 5_000));
  expect(late.map(({ name, endMs }) => `${name}: ${endMs} ms`)).toEqual([]);
});

test('without loss easy pairs are proven within 1.5 round trips, others within 6 s, and both know how they are seen', {
  timeout: 300_000,
}, () => {
  const results = runAll(8, 0);
  const times = (fits: (a: Kind, b: Kind) => boolean, of: 'provenMs' | 'endMs') =>
    results.filter(({ pair }) => fits(...pair)).map((one) => one[of]);
  expect(Math.max(...times(isEasy, 'provenMs'))).toBeLessThanOrEqual(1.5 * RTT_MS);
  expect(results.filter(({ told }) => !told).map(({ name }) => name)).toEqual([]);
  expect(median(times((a, b) => !isEasy(a, b), 'endMs'))).toBeLessThanOrEqual(6_000);
});
