import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Attempt, Plan } from '../../../src/punch/plan.js';
import { type Opener, OpenerSchedule } from '../../../src/punch/schedule.js';
import { UNMEASURED } from '../../../src/wire/nat-report.js';
import { planFor } from '../../support/plan.js';

const PEER = { address: '203.0.113.10', port: 40_000 };

type Timed = Opener & { readonly at: number };

function run(plan: Plan, untilMs: number, admitWide = () => true): Timed[] {
  const schedule = new OpenerSchedule(plan, { random: randomBytes, admitWide }, 1000);
  const out: Timed[] = [];
  for (let now = 1000; now <= 1000 + untilMs; now = Math.max(now + 0.5, schedule.next)) {
    for (const opener of schedule.due(now)) out.push({ at: now - 1000, ...opener });
  }
  return out;
}

function attempt(o: Partial<Attempt>): Plan {
  const base: Attempt = {
    rung: 'birthday',
    startMs: 0,
    socket: 0,
    sockets: 1,
    target: { kind: 'endpoint', endpoint: PEER },
    wavesMs: [0],
    gapMs: 0,
    packets: 10_000,
    wide: true,
  };
  return { attempts: [{ ...base, ...o }], hopeless: false };
}

describe('openers of plexus’ round', () => {
  test('of the inviter come at once, then slower, and arrive', () => {
    const openers = run(planFor('invite', PEER), 60_000);
    expect(openers.slice(0, 7).map(({ at }) => at)).toEqual([0, 100, 300, 700, 1500, 3100, 4700]);
    expect(openers.every(({ ttl }) => ttl === undefined)).toBe(true);
    expect(openers.length).toBeLessThan(64);
  });

  test('of the acceptor first open its own NAT only, and renew that before a mapping dies', () => {
    const openers = run(planFor('accept', PEER), 60_000);
    const quiet = openers.filter(({ ttl }) => ttl === 7).map(({ at }) => at);
    expect(quiet.slice(0, 5)).toEqual([0, 150, 500, 10_500, 20_500]);
    expect(openers.find(({ ttl }) => ttl === undefined)?.at).toBe(3000);
    expect(openers.length).toBeLessThan(64);
  });

  test('of an acceptor that knows its mapping moves need not wait three seconds to be found', () => {
    const own = { ...UNMEASURED, mapping: 'address-and-port-dependent' } as const;
    const openers = run(planFor('accept', PEER, { own }), 5000);
    expect(openers.find(({ ttl }) => ttl === undefined)?.at).toBe(300);
  });
});

describe('a wave', () => {
  test('sends from every socket in turn, and again at the next wave', () => {
    const openers = run(
      attempt({ socket: 16, sockets: 4, gapMs: 1, wavesMs: [0, 100], everyMs: 1000 }),
      1500,
    );
    expect(openers.slice(0, 8).map(({ at, socket }) => [at, socket])).toEqual([
      ...[16, 17, 18, 19].map((socket, index) => [index, socket]),
      ...[16, 17, 18, 19].map((socket, index) => [100 + index, socket]),
    ]);
    expect(openers.length).toBe(12);
  });

  test('of random ports tries none twice, and none under 1024', () => {
    const target = { kind: 'sweep', address: PEER.address, count: 2048 } as const;
    const openers = run(attempt({ target, gapMs: 5 }), 60_000);
    expect(new Set(openers.map(({ to }) => to.port)).size).toBe(2048);
    expect(openers.every(({ to }) => to.port >= 1024 && to.port <= 65_535)).toBe(true);
    expect(openers.at(-1)?.at).toBeCloseTo(2047 * 5, 0);
  });

  test('that the process slept through is not sent in one burst', () => {
    const schedule = new OpenerSchedule(
      attempt({ target: { kind: 'sweep', address: PEER.address, count: 1000 }, gapMs: 5 }),
      { random: randomBytes, admitWide: () => true },
      0,
    );
    expect(schedule.due(0).length).toBe(1);
    expect(schedule.due(4000).length).toBeLessThan(10);
  });

  test('ends with its packets', () => {
    expect(run(attempt({ wavesMs: [0, 10, 20, 30], everyMs: 10, packets: 3 }), 1000).length).toBe(3);
  });
});

test('a wide attempt waits until it is admitted, then runs from its beginning', () => {
  let open = false;
  let asked = 0;
  const plan = attempt({ sockets: 3, gapMs: 1, startMs: 100 });
  const schedule = new OpenerSchedule(
    plan,
    {
      random: randomBytes,
      admitWide: () => {
        asked += 1;
        return open;
      },
    },
    0,
  );
  expect(schedule.due(100)).toEqual([]);
  expect(schedule.next).toBeGreaterThan(100);
  open = true;
  expect(schedule.due(schedule.next).length).toBe(1);
  schedule.due(10_000);
  expect(asked).toBe(2);
});
