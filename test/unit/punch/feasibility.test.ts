import { describe, expect, test } from 'vitest';
import { describeNat, feasibility } from '../../../src/punch/feasibility.js';
import { type Filtering, type Mapping, type NatReport, UNMEASURED } from '../../../src/wire/nat-report.js';

const EI = 'endpoint-independent';
const AD = 'address-dependent';
const APD = 'address-and-port-dependent';

function nat(mapping: Mapping, filtering: Filtering): NatReport {
  return { ...UNMEASURED, nat: 'yes', mapping, filtering };
}

const NONE: NatReport = { ...UNMEASURED, nat: 'no' };
const FULL_CONE = nat(EI, EI);
const RESTRICTED = nat(EI, AD);
const PORT_RESTRICTED = nat(EI, APD);
const SYMMETRIC = nat(APD, APD);

describe('what plain punching can do', () => {
  test.each([
    ['two cones', PORT_RESTRICTED, PORT_RESTRICTED, 'direct'],
    ['no NAT and a port-restricted one', NONE, PORT_RESTRICTED, 'direct'],
    ['symmetric against full cone', SYMMETRIC, FULL_CONE, 'effort'],
    ['symmetric against restricted', SYMMETRIC, RESTRICTED, 'effort'],
    ['symmetric against port-restricted', SYMMETRIC, PORT_RESTRICTED, 'impossible'],
    ['symmetric against symmetric', SYMMETRIC, SYMMETRIC, 'impossible'],
    ['two that follow each other for ever', nat(APD, EI), nat(APD, EI), 'impossible'],
    ['two moving ones of which one holds still', nat(AD, EI), nat(APD, AD), 'effort'],
    ['symmetric against no NAT with unknown firewall', SYMMETRIC, NONE, 'unknown'],
    ['nothing measured', UNMEASURED, UNMEASURED, 'unknown'],
    ['symmetric against unmeasured filtering', SYMMETRIC, nat(EI, 'not-measured'), 'unknown'],
  ] as const)('%s', (_what, a, b, expected) => {
    expect(feasibility(a, b)).toBe(expected);
    expect(feasibility(b, a)).toBe(expected);
  });
});

test('a NAT is named in words, and what was not measured is not guessed', () => {
  expect(describeNat(SYMMETRIC)).toContain('symmetric NAT');
  expect(describeNat(FULL_CONE)).toContain('any sender');
  expect(describeNat(NONE)).toBe('no NAT');
  expect(describeNat(nat('not-measured', APD))).toContain('unknown mapping');
});
