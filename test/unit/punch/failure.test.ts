import { expect, test } from 'vitest';
import { punchFailure } from '../../../src/punch/failure.js';
import { PunchMachine } from '../../../src/punch/machine.js';
import { type NatReport, UNMEASURED } from '../../../src/wire/nat-report.js';
import { planFor } from '../../support/plan.js';

const PEER = { address: '203.0.113.10', port: 40_000 };
const APD = 'address-and-port-dependent';
const SYMMETRIC: NatReport = { ...UNMEASURED, nat: 'yes', mapping: APD, filtering: APD };

function failure(plexus: boolean) {
  const machine = new PunchMachine(
    {
      role: 'invite',
      secret: 1n,
      peer: PEER,
      plan: planFor('invite', PEER, { plexus, own: SYMMETRIC }),
      moving: true,
      timeoutMs: 1_000,
      allow: () => true,
      random: (bytes) => Buffer.alloc(bytes, 7),
    },
    0,
  );
  const reports = { own: SYMMETRIC, peer: plexus ? UNMEASURED : SYMMETRIC };
  return punchFailure(
    'impossible',
    { peer: PEER, timeoutMs: 1_000, confirm: !plexus, plexus, reports },
    machine,
  );
}

test('where two awls cannot meet, both NATs and the cures are named', () => {
  const { code, message, hint } = failure(false);
  expect(code).toBe('NAT_IMPOSSIBLE');
  expect(message).toMatch(/your side is behind a symmetric NAT .*, the peer behind a symmetric NAT/);
  expect(hint).toMatch(/IPv6.*forward a UDP port.*relay/);
});

test('a plexus knows neither IPv6 nor our relay: its cures are others, and of its NAT nothing is claimed', () => {
  const { code, message, hint } = failure(true);
  expect(code).toBe('NAT_IMPOSSIBLE');
  expect(message).toMatch(
    /your side is behind a symmetric NAT .*, and a plexus hears nothing but the one endpoint/,
  );
  expect(message).not.toContain('the peer behind');
  expect(hint).toMatch(/let the peer run awl.*forward a UDP port.*let the peer invite/);
  expect(hint).not.toMatch(/IPv6|relay/);
});
