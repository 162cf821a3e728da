import { describe, expect, test } from 'vitest';
import {
  classify,
  classifyFiltering,
  classifyMapping,
  type Evidence,
  type FilteringEvidence,
  type MappingSample,
} from '../../../src/stun/classify.js';
import type { Endpoint } from '../../../src/util/endpoint.js';
import type { Filtering, Mapping } from '../../../src/wire/nat-report.js';

const LOCAL: Endpoint = { address: '192.168.1.2', port: 5000 };
const A1: Endpoint = { address: '192.0.2.10', port: 3478 };
const A2: Endpoint = { address: '192.0.2.10', port: 3479 };
const B1: Endpoint = { address: '192.0.2.11', port: 3478 };
const B2: Endpoint = { address: '192.0.2.11', port: 3479 };
const C1: Endpoint = { address: '203.0.113.5', port: 3478 };
const ALL = [A1, B2, B1, A2] as const;

type MappingKind = Exclude<Mapping, 'not-measured'>;
const KINDS: readonly MappingKind[] = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
];

/** A NAT of one of the three mapping kinds: which outside port a destination sees. */
function samples(kind: MappingKind, destinations: readonly Endpoint[]): MappingSample[] {
  const ports = new Map<string, number>();
  return destinations.map((destination) => {
    const key = {
      'endpoint-independent': '',
      'address-dependent': destination.address,
      'address-and-port-dependent': `${destination.address}:${destination.port}`,
    }[kind];
    const port = ports.get(key) ?? 40_000 + 1009 * ports.size ** 2;
    ports.set(key, port);
    return { destination, mapped: { address: '198.51.100.10', port } };
  });
}

/** What a NAT with this filtering lets through of the changed replies. */
function heard(filtering: MappingKind, mapping: MappingKind): FilteringEvidence {
  const open = filtering === 'endpoint-independent';
  return {
    changeBoth: open ? 'answered' : 'silent',
    changePort: filtering === 'address-and-port-dependent' ? 'silent' : 'answered',
    control: open || mapping === 'endpoint-independent' ? 'answered' : 'silent',
  };
}

const evidence = (parts: Partial<Evidence>): Evidence => ({
  local: LOCAL,
  localAddresses: ['127.0.0.1', '192.168.1.2'],
  samples: [],
  ...parts,
});

describe('every combination of RFC 4787', () => {
  for (const mapping of KINDS) {
    for (const filtering of KINDS) {
      for (const hairpin of ['answered', 'silent'] as const) {
        test(`${mapping} mapping, ${filtering} filtering, hairpin ${hairpin}`, () => {
          const report = classify(
            evidence({ samples: samples(mapping, ALL), filtering: heard(filtering, mapping), hairpin }),
          );
          const certainNo = mapping === 'endpoint-independent' ? 'no' : 'not-measured';
          expect(report).toEqual({
            nat: 'yes',
            mapping,
            filtering,
            hairpin: hairpin === 'answered' ? 'yes' : certainNo,
            portPreservation: 'no',
          });
        });
      }
    }
  }
});

describe('mapping', () => {
  const at = (destination: Endpoint, port: number, address = '198.51.100.10'): MappingSample => ({
    destination,
    mapped: { address, port },
  });

  test.each<[string, MappingSample[], Mapping]>([
    ['nothing known', [], 'not-measured'],
    ['one server alone proves nothing', [at(A1, 1)], 'not-measured'],
    ['two ports of one address do not prove independence', [at(A1, 1), at(A2, 1)], 'not-measured'],
    ['two ports of one address can disprove it', [at(A1, 1), at(A2, 2)], 'address-and-port-dependent'],
    ['two plain servers agree', [at(A1, 1), at(C1, 1)], 'endpoint-independent'],
    [
      'two plain servers differ: the more demanding kind',
      [at(A1, 1), at(C1, 2)],
      'address-and-port-dependent',
    ],
    [
      'other address, same port number',
      [at(A1, 1), at(C1, 1, '198.51.100.11')],
      'address-and-port-dependent',
    ],
    ['only the port matters', [at(A1, 1), at(B2, 2), at(B1, 1), at(A2, 2)], 'address-and-port-dependent'],
    ['one server contradicts itself', [at(A1, 1), at(C1, 1), at(A1, 2)], 'not-measured'],
    ['one server repeats itself', [at(A1, 1), at(C1, 1), at(A1, 1)], 'endpoint-independent'],
    ['two agree, a third does not: somebody lies', [at(A1, 1), at(B1, 1), at(C1, 2)], 'not-measured'],
  ])('%s', (_, given, expected) => {
    expect(classifyMapping(given)).toBe(expected);
  });
});

describe('filtering', () => {
  const EIM: Mapping = 'endpoint-independent';
  test.each<[string, FilteringEvidence, Mapping, Filtering]>([
    [
      'silence proves nothing if the control is silent too: the server may not do it',
      { changeBoth: 'silent', changePort: 'silent', control: 'silent' },
      EIM,
      'not-measured',
    ],
    [
      'a server that refuses leaves it open',
      { changeBoth: 'not-measured', changePort: 'not-measured', control: 'not-measured' },
      EIM,
      'not-measured',
    ],
    [
      'another port only: silence settles it',
      { changeBoth: 'not-measured', changePort: 'silent', control: 'answered' },
      EIM,
      'address-and-port-dependent',
    ],
    [
      'another port only: an answer does not',
      { changeBoth: 'not-measured', changePort: 'answered', control: 'answered' },
      EIM,
      'not-measured',
    ],
    [
      'unknown mapping needs the control',
      { changeBoth: 'silent', changePort: 'silent', control: 'silent' },
      'not-measured',
      'not-measured',
    ],
    [
      'a reply from elsewhere settles it whatever else was lost',
      { changeBoth: 'answered', changePort: 'silent', control: 'silent' },
      EIM,
      'endpoint-independent',
    ],
  ])('%s', (_, given, mapping, expected) => {
    expect(classifyFiltering(given, mapping)).toBe(expected);
  });
});

describe('the rest of the report', () => {
  const ports = (...list: number[]): MappingSample[] =>
    list.map((port, i) => ({
      destination: ALL[i] ?? C1,
      mapped: { address: '198.51.100.10', port },
    }));

  test('nothing heard means nothing measured', () => {
    expect(new Set(Object.values(classify(evidence({}))))).toEqual(new Set(['not-measured']));
  });

  test('an own address with the own port is no NAT, and has no hairpin', () => {
    const mapped = { address: '192.168.1.2', port: 5000 };
    const report = classify(evidence({ samples: [{ destination: A1, mapped }], hairpin: 'answered' }));
    expect(report).toMatchObject({ nat: 'no', portPreservation: 'yes', hairpin: 'not-measured' });
  });

  test('an own address with another port is a NAT in this machine', () => {
    const mapped = { address: '192.168.1.2', port: 5001 };
    expect(classify(evidence({ samples: [{ destination: A1, mapped }] })).nat).toBe('yes');
  });

  test.each<[string, number[], number | undefined]>([
    ['a steady step is named', [700, 701, 702, 703], 1],
    ['also downwards and by two', [700, 698, 696], -2],
    ['two mappings are no series', [700, 701], undefined],
    ['random ports have none', [700, 9000, 123], undefined],
    ['steps that somebody else’s traffic broke are not guessed', [700, 701, 703], undefined],
    ['a jump too wide to follow is none', [700, 900, 1100], undefined],
  ])('port step: %s', (_, list, step) => {
    expect(classify(evidence({ samples: ports(...list) })).portStep).toBe(step);
  });

  test('answers that got lost leave gaps, and the series is known all the same', () => {
    const lost = (...slots: number[]) =>
      ports(...slots.map((slot) => 700 + 2 * slot)).map((sample, i) => ({ ...sample, slot: slots[i] ?? 0 }));
    expect(classify(evidence({ samples: lost(0, 1, 3) })).portStep).toBe(2);
    expect(classify(evidence({ samples: lost(0, 2, 3) })).portStep).toBe(2);
    const [first, ...rest] = lost(0, 1, 3);
    const other = first && { ...first, mapped: { ...first.mapped, port: 699 } };
    expect(classify(evidence({ samples: other ? [other, ...rest] : [] })).portStep).toBeUndefined();
  });

  test('a second sample of the same destination does not break the series', () => {
    const series = ports(700, 701, 702);
    const again = series[0];
    expect(classify(evidence({ samples: again ? [...series, again] : [] })).portStep).toBe(1);
  });
});
