import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planPunch } from '../../../src/punch/plan.js';
import {
  PEER_KINDS,
  type PeerKind,
  plexusPostMortem,
  postMortem,
  predict,
  prospects,
  type SideReport,
  sideOf,
  towardPlexus,
} from '../../../src/session/prediction.js';
import { type NatReport, UNMEASURED } from '../../../src/wire/nat-report.js';

const KINDS = Object.keys(PEER_KINDS) as PeerKind[];
const of = (kind: PeerKind): SideReport => ({ nat: PEER_KINDS[kind].nat });
const at = (address: string) => ({ address, port: 4000 });

describe('against each kind of peer', () => {
  const SHORT = { direct: 'd', 'direct with effort': 'e', 'relay only': 'r', unknown: '?' } as const;
  const row = (own: SideReport) => {
    const table = prospects(own);
    return KINDS.map((kind) => SHORT[table[kind]]).join('');
  };

  test('the kinds stand in this order', () => {
    expect(KINDS.join(' ')).toBe(
      'none full-cone restricted port-restricted cgnat hostile symmetric-sequential symmetric',
    );
  });

  test.each<[string, SideReport, string]>([
    ['none', of('none'), 'dddddddd'],
    ['full-cone', of('full-cone'), 'dddddddd'],
    ['restricted', of('restricted'), 'dddddddd'],
    ['port-restricted', of('port-restricted'), 'dddddeee'],
    ['symmetric-sequential', of('symmetric-sequential'), 'dddeeeer'],
    ['symmetric', of('symmetric'), 'dddeeerr'],
    ['symmetric with a forwarded port', { ...of('symmetric'), mapped: at('203.0.113.7') }, 'dddddddd'],
    ['nothing measured', { nat: UNMEASURED }, 'ddd' + 'eee' + '??'],
    [
      'mapping known, filtering not',
      { nat: { ...of('symmetric').nat, filtering: 'not-measured' } },
      'dddeeerr',
    ],
  ])('%s', (_, own, expected) => {
    expect(row(own)).toBe(expected);
  });

  test('is the same from both sides', () => {
    for (const a of KINDS) {
      for (const b of KINDS) {
        expect([a, b, predict(of(a), of(b)).outcome]).toEqual([a, b, predict(of(b), of(a)).outcome]);
      }
    }
  });
});

describe('the ladder’s own plan', () => {
  const plan = (a: PeerKind, b: PeerKind) => {
    const side = { endpoint: at('203.0.113.7'), fresh: [], candidates: [], chooses: true, birthday: true };
    return planPunch({
      ...{ role: 'invite', hops: 7, measured: false },
      own: { report: PEER_KINDS[a].nat, fresh: 0, family: 4 },
      peer: { ...side, report: PEER_KINDS[b].nat },
    });
  };

  test('gives up early exactly where no more than a relay is foretold, and holds the rung that is', () => {
    for (const a of KINDS) {
      for (const b of KINDS) {
        const { outcome, rung } = predict(of(a), of(b));
        const { hopeless, attempts } = plan(a, b);
        expect([a, b, hopeless]).toEqual([a, b, outcome === 'relay only']);
        if (rung !== undefined) expect(attempts.map((attempt) => attempt.rung)).toContain(rung);
      }
    }
  });
});

test('after a failure the log names both NATs and what was expected of them', () => {
  const cand = [{ type: 'host', endpoint: { address: '2001:db8::1', port: 4000 } }] as const;
  const own = sideOf(PEER_KINDS.symmetric.nat, at('203.0.113.7'), cand);
  expect(own.ipv6).toBe('2001:db8::1');
  const peer = sideOf(PEER_KINDS['port-restricted'].nat, at('198.51.100.7'), []);
  expect(postMortem(own, peer)).toMatch(
    /^this side: symmetric NAT .*; the peer: cone NAT .*; expected: direct with effort, by a birthday search: /,
  );
});

describe('with the report of the peer', () => {
  const hard = of('symmetric');
  test.each<[string, SideReport, SideReport, string, string | undefined]>([
    [
      'the same public address',
      { ...hard, outer: at('203.0.113.7') },
      { ...hard, outer: at('203.0.113.7') },
      'direct',
      'host',
    ],
    ['IPv6 on both', { ...hard, ipv6: '2001:db8::1' }, { ...hard, ipv6: '2001:db8::2' }, 'direct', 'ipv6'],
    ['IPv6 on one', { ...hard, ipv6: '2001:db8::1' }, hard, 'relay only', undefined],
    ['a port mapped at the peer', hard, { ...hard, mapped: at('203.0.113.7') }, 'direct', 'mapped'],
    ['two homes', of('port-restricted'), of('port-restricted'), 'direct', 'reflexive'],
    ['a home and a random NAT', of('port-restricted'), hard, 'direct with effort', 'birthday'],
    ['a home and a counting NAT', of('symmetric-sequential'), of('cgnat'), 'direct with effort', 'predicted'],
    [
      'two counting NATs',
      of('symmetric-sequential'),
      of('symmetric-sequential'),
      'direct with effort',
      'predicted',
    ],
    ['two random NATs', hard, hard, 'relay only', undefined],
    ['two that measured nothing', { nat: UNMEASURED }, { nat: UNMEASURED }, 'unknown', undefined],
  ])('%s', (_, own, peer, outcome, rung) => {
    expect(predict(own, peer)).toMatchObject({ outcome, ...(rung !== undefined && { rung }) });
    expect(predict(own, peer).rung).toBe(rung);
    expect(predict(peer, own)).toMatchObject({ outcome });
  });

  test('every pair of reports has an answer with a reason', () => {
    const behaviour = fc.constantFrom(
      ...([
        'endpoint-independent',
        'address-dependent',
        'address-and-port-dependent',
        'not-measured',
      ] as const),
    );
    const measured = fc.constantFrom(...(['yes', 'no', 'not-measured'] as const));
    const report: fc.Arbitrary<NatReport> = fc.record(
      {
        nat: measured,
        mapping: behaviour,
        filtering: behaviour,
        hairpin: measured,
        portPreservation: measured,
        portStep: fc.integer({ min: -64, max: 64 }),
      },
      { requiredKeys: ['nat', 'mapping', 'filtering', 'hairpin', 'portPreservation'] },
    );
    fc.assert(
      fc.property(report, report, (a, b) => {
        const there = predict({ nat: a }, { nat: b });
        expect(there.why.length).toBeGreaterThan(10);
        expect(there.outcome).toBe(predict({ nat: b }, { nat: a }).outcome);
        if (there.outcome.startsWith('direct')) expect(there.rung).toBeDefined();
      }),
    );
  });
});

describe('toward a plexus, which hears one endpoint of us', () => {
  const forwarded = (kind: PeerKind): SideReport => ({
    ...of(kind),
    outer: at('198.51.100.1'),
    mapped: at('198.51.100.1'),
  });

  test.each<[string, SideReport, string, string]>([
    ['no NAT', of('none'), 'direct', 'direct'],
    ['most homes', of('port-restricted'), 'direct', 'direct'],
    ['a NAT that counts', of('symmetric-sequential'), 'direct with effort', 'direct with effort'],
    ['random ports', of('symmetric'), 'not at all', 'not at all'],
    ['random ports and a forwarded one', forwarded('symmetric'), 'not at all', 'direct with effort'],
    [
      'a port of a router behind a NAT',
      { ...forwarded('symmetric'), mapped: at('100.64.0.1') },
      'not at all',
      'not at all',
    ],
    ['nothing measured', { nat: UNMEASURED }, 'unknown', 'unknown'],
  ])('%s', (_, own, invite, accept) => {
    expect(towardPlexus(own)).toEqual({ invite, accept });
  });

  test('after a failure our NAT and what was to be expected are named, and nothing is claimed of the peer’s', () => {
    const words = plexusPostMortem(of('symmetric').nat, 'reflexive');
    expect(words).toMatch(
      /^this side: symmetric NAT .*; the peer: a plexus; expected: nothing: .*1 in 64 512/,
    );
    expect(plexusPostMortem(of('symmetric-sequential').nat, 'predicted')).toContain(
      'the port that our letter named',
    );
  });
});
