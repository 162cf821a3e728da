import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SILENT_MAX_DATAGRAMS } from '../../../src/constants.js';
import { WIDE_MAX_DATAGRAMS } from '../../../src/punch/limits.js';
import type { Attempt } from '../../../src/punch/plan.js';
import { tacticOf } from '../../../src/punch/wide.js';
import type { PunchRole } from '../../../src/wire/confirm.js';
import { type Mapping, type NatReport, UNMEASURED } from '../../../src/wire/nat-report.js';
import { type PlanOptions, planFor } from '../../support/plan.js';

const PEER = { address: '203.0.113.10', port: 40_000 };
const FRESH = [
  { address: '203.0.113.10', port: 41_000 },
  { address: '203.0.113.10', port: 42_000 },
];
const APD = 'address-and-port-dependent';
const HOME: NatReport = { ...UNMEASURED, nat: 'yes', mapping: 'endpoint-independent', filtering: APD };
const SYMMETRIC: NatReport = { ...UNMEASURED, nat: 'yes', mapping: APD, filtering: APD };
const COUNTING: NatReport = { ...SYMMETRIC, portStep: 2 };
const AWL: PlanOptions = { chooses: true, birthday: true, ownFresh: 2, fresh: FRESH };

const rungs = (attempts: readonly Attempt[]) => [...new Set(attempts.map(({ rung }) => rung))];
const wide = (role: PunchRole, o: PlanOptions) => planFor(role, PEER, o).attempts.filter((one) => one.wide);

describe('toward a peer of plexus', () => {
  test('nothing leaves but its own protocol: one socket, one endpoint', () => {
    for (const role of ['invite', 'accept'] as const) {
      const { attempts } = planFor(role, PEER, {
        fresh: FRESH,
        birthday: true,
        own: SYMMETRIC,
        theirs: HOME,
      });
      expect(rungs(attempts)).toEqual(['reflexive']);
      expect(
        attempts.every(({ socket, sockets, target }) => {
          return socket + sockets === 1 && target.kind === 'endpoint' && target.endpoint === PEER;
        }),
      ).toBe(true);
    }
  });
});

describe('toward a plexus, which knows one endpoint of us', () => {
  test('a counting NAT’s port that the message named is opened by eight sockets, quietly where the peer sends first', () => {
    for (const role of ['invite', 'accept'] as const) {
      const plan = planFor(role, PEER, { plexus: true, told: 'predicted', own: COUNTING });
      expect(plan).toMatchObject({
        hopeless: false,
        attempts: [{ rung: 'predicted', socket: 16, sockets: 8 }],
      });
      expect(plan.attempts[0]?.ttl).toBe(role === 'accept' ? 4 : undefined);
      expect(plan.attempts[0]?.packets).toBeLessThanOrEqual(SILENT_MAX_DATAGRAMS);
    }
  });

  test('behind a forwarded port nothing is sent before the peer: it would leave by another port', () => {
    const plan = planFor('accept', PEER, { plexus: true, told: 'mapped', own: SYMMETRIC });
    expect(plan).toEqual({ attempts: [], hopeless: false });
  });

  test('random ports of ours end early: one in 64 512 is the one that it hears', () => {
    expect(planFor('invite', PEER, { plexus: true, own: SYMMETRIC }).hopeless).toBe(true);
    expect(planFor('invite', PEER, { plexus: true, own: HOME }).hopeless).toBe(false);
    expect(planFor('invite', PEER, { plexus: true }).hopeless).toBe(false);
  });

  test('its next ports are tried after three silent seconds, in no more than 20 datagrams', () => {
    const near = planFor('invite', { ...PEER, port: 65_534 }, { plexus: true, own: HOME }).attempts.at(-1);
    expect(near).toMatchObject({
      rung: 'predicted',
      socket: 0,
      startMs: 3_000,
      target: { ports: [65_535, 65_533, 65_532] },
    });
    expect(planFor('invite', PEER, { plexus: true, own: HOME }).attempts.at(-1)?.packets).toBe(20);
    expect(rungs(planFor('invite', PEER, { plexus: true, own: SYMMETRIC }).attempts)).toEqual(['reflexive']);
  });
});

describe('two homes', () => {
  test('have three rounds on mappings of their own, in one of which the roles are swapped', () => {
    const attempts = (role: PunchRole) =>
      planFor(role, PEER, { ...AWL, own: HOME, theirs: HOME }).attempts.filter((one) => !one.wide);
    const quiet = (role: PunchRole) => attempts(role).filter(({ ttl }) => ttl !== undefined);
    expect(quiet('accept').map(({ socket, ttl }) => [socket, ttl])).toEqual([
      [0, 7],
      [1, 4],
    ]);
    expect(quiet('invite').map(({ socket, ttl }) => [socket, ttl])).toEqual([[2, 3]]);
    for (const role of ['invite', 'accept'] as const) {
      expect(new Set(attempts(role).map(({ socket }) => socket))).toEqual(new Set([0, 1, 2]));
    }
  });

  test('try the wide rungs too, but only when everything else had its time', () => {
    const attempts = wide('invite', { ...AWL, own: HOME, theirs: HOME });
    expect(attempts.length).toBeGreaterThan(0);
    expect(attempts.every(({ startMs }) => startMs >= 10_000)).toBe(true);
  });
});

describe('a moving side and a stable one', () => {
  test('spread and sweep, whoever invites', () => {
    for (const role of ['invite', 'accept'] as const) {
      const [spread] = wide(role, { ...AWL, own: SYMMETRIC, theirs: HOME });
      expect(spread).toMatchObject({
        rung: 'birthday',
        sockets: 256,
        target: { kind: 'endpoint', endpoint: PEER },
      });
      expect(spread?.ttl).toBeLessThanOrEqual(4);
      const sweeps = wide(role, { ...AWL, own: HOME, theirs: SYMMETRIC });
      expect(sweeps.map(({ target }) => target.kind)).toEqual(['sweep', 'sweep']);
      expect(sweeps[0]).toMatchObject({ gapMs: 5, packets: 1024, startMs: 150 });
    }
  });

  test('foretell the ports of a NAT that counts, in its direction and from the newest port that was seen', () => {
    const candidates = [{ type: 'srflx', endpoint: { ...PEER, port: 40_006 } }] as const;
    const [first] = wide('invite', { ...AWL, own: HOME, theirs: COUNTING, candidates });
    expect(first?.rung).toBe('predicted');
    const ports = first?.target.kind === 'ports' ? first.target.ports : [];
    expect(ports.length).toBeGreaterThan(8);
    expect(ports.every((port) => port > 40_006 && port % 2 === 0)).toBe(true);
  });

  test('send no wide datagram that the peer did not ask for', () => {
    for (const own of [HOME, SYMMETRIC]) {
      const theirs = own === HOME ? SYMMETRIC : HOME;
      expect(wide('invite', { ...AWL, birthday: false, own, theirs })).toEqual([]);
    }
  });
});

describe('two moving sides', () => {
  test('meet at a port that both can foretell where both count', () => {
    const [meeting] = wide('accept', { ...AWL, own: COUNTING, theirs: COUNTING });
    expect(meeting).toMatchObject({ rung: 'predicted', target: { endpoint: { port: 40_256 } } });
  });

  test('end early where one of them draws its ports at random', () => {
    for (const theirs of [SYMMETRIC, COUNTING]) {
      const plan = planFor('accept', PEER, { ...AWL, own: SYMMETRIC, theirs });
      expect(plan.hopeless).toBe(true);
      expect(plan.attempts.some((one) => one.wide)).toBe(false);
      expect(plan.attempts.length).toBeGreaterThan(0);
    }
  });
});

test('candidates are tried from both sides, those of IPv6 from their own socket', () => {
  const host = { type: 'host', endpoint: { address: '192.168.1.2', port: 5000 } } as const;
  const six = { type: 'srflx', endpoint: { address: '2001:db8::2', port: 5000 } } as const;
  for (const role of ['invite', 'accept'] as const) {
    const plan = planFor(role, PEER, { ...AWL, candidates: [host, six], v6: 3 });
    const [first, second] = plan.attempts;
    expect(first).toMatchObject({ rung: 'host', socket: 0, target: { endpoint: host.endpoint }, startMs: 0 });
    expect(second).toMatchObject({ rung: 'reflexive', socket: 3, target: { endpoint: six.endpoint } });
    expect(planFor(role, PEER, { ...AWL, candidates: [six] }).attempts[0]?.rung).toBe('reflexive');
  }
});

const MAPPINGS: readonly Mapping[] = ['endpoint-independent', 'address-dependent', APD, 'not-measured'];
const report = fc.record({
  mapping: fc.constantFrom(...MAPPINGS),
  filtering: fc.constantFrom(...MAPPINGS),
  step: fc.option(fc.integer({ min: -64, max: 64 })),
});

test('for any two reports both sides come to matching tactics, within the caps', () => {
  fc.assert(
    fc.property(report, report, (a, b) => {
      const [own, theirs] = [a, b].map(({ mapping, filtering, step }): NatReport => {
        const moves = mapping === 'address-dependent' || mapping === APD;
        return { ...UNMEASURED, mapping, filtering, ...(moves && step ? { portStep: step } : {}) };
      }) as [NatReport, NatReport];
      const side = (role: PunchRole, ours: NatReport, other: NatReport) =>
        tacticOf({
          role,
          own: { report: ours, fresh: 2, family: 4 },
          peer: { endpoint: PEER, fresh: [], candidates: [], report: other, chooses: true, birthday: true },
        }).kind;
      const kinds = [side('invite', own, theirs), side('accept', theirs, own)].sort().join(' ');
      expect(['spread sweep', 'meet meet', 'none none', 'await sweep']).toContain(kinds);
      for (const role of ['invite', 'accept'] as const) {
        for (const one of planFor(role, PEER, { ...AWL, own, theirs }).attempts) {
          expect(one.packets).toBeLessThanOrEqual(one.wide ? WIDE_MAX_DATAGRAMS : SILENT_MAX_DATAGRAMS);
          if (one.target.kind !== 'ports') continue;
          expect(one.target.ports.every((port) => port >= 1024 && port <= 65_535)).toBe(true);
        }
      }
    }),
  );
});
