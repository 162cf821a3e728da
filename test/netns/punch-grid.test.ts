import { describe, expect, test } from 'vitest';
import { IMPOSSIBLE_AFTER_MS } from '../../src/constants.js';
import type { NatReport } from '../../src/wire/nat-report.js';
import { Lab } from '../support/lab.js';
import { needs } from '../support/needs.js';
import { punchPair } from './punch-pair.js';

/*
 *   a -- nata -- i1 -- ... -- i6 -- natb -- b        Six routers: an opener of TTL 7 leaves a's NAT
 *                   |                                 and does not arrive at b's.
 *                   s  (STUN)
 */
type Type = 'none' | 'full-cone' | 'restricted' | 'port-restricted' | 'symmetric' | 'cgnat';

const REPORTS: Readonly<Record<Type, Pick<NatReport, 'nat' | 'mapping' | 'filtering'>>> = {
  none: { nat: 'no', mapping: 'endpoint-independent', filtering: 'endpoint-independent' },
  'full-cone': { nat: 'yes', mapping: 'endpoint-independent', filtering: 'endpoint-independent' },
  restricted: { nat: 'yes', mapping: 'endpoint-independent', filtering: 'address-dependent' },
  'port-restricted': { nat: 'yes', mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' },
  symmetric: { nat: 'yes', mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' },
  cgnat: { nat: 'yes', mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' },
};

function report(type: Type): NatReport {
  return { ...REPORTS[type], hairpin: 'not-measured', portPreservation: 'not-measured' };
}

/** Inviter behind the first, acceptor behind the second. The other pairs are tried with the whole ladder (ladder-grid.test.ts). */
const PASSABLE: readonly (readonly [Type, Type])[] = [
  ['symmetric', 'restricted'],
  ['restricted', 'symmetric'],
  ['port-restricted', 'cgnat'],
];

const IMPASSABLE: readonly (readonly [Type, Type])[] = [
  ['symmetric', 'port-restricted'],
  ['cgnat', 'symmetric'],
  ['symmetric', 'symmetric'],
];

/** Of sixty seconds; a busy machine notices late. */
const LATEST_MS = IMPOSSIBLE_AFTER_MS + 20_000;
const KEY = 'a1'.repeat(32);

async function inLab<T>(name: string, a: Type, b: Type, use: (lab: Lab) => Promise<T>): Promise<T> {
  const lab = await Lab.up(name, { a, b, hops: 6 });
  try {
    await lab.stun();
    return await use(lab);
  } finally {
    await lab.down();
  }
}

describe.skipIf(!needs('root', 'ip', 'nft', 'python3'))('through real kernel NATs, six routers apart', () => {
  test.each(PASSABLE)('inviter behind %s, acceptor behind %s: confirmed, payload passes', async (a, b) => {
    await inLab('grid', a, b, async (lab) => {
      const reports = { a: report(a), b: report(b) };
      const { invite, accept } = await punchPair(lab, 'a', { confirmKey: KEY, reports });
      expect(invite).toMatchObject({ ok: true, confirmed: true, echo: true });
      expect(accept).toMatchObject({ ok: true, confirmed: true, echo: true });
      expect(accept.how).toBe(a === 'symmetric' ? 'remapped' : 'reflexive');
      expect(invite.how).toBe(b === 'symmetric' ? 'remapped' : 'reflexive');
      expect(invite.stats?.provenMs).toBeLessThan(3000);
    });
  });

  test('impassable pairs end within the limit and name the pair, side by side', async () => {
    await Promise.all(
      IMPASSABLE.map(([a, b], index) =>
        inLab(`grid${index}`, a, b, async (lab) => {
          const reports = { a: report(a), b: report(b) };
          const { invite, accept } = await punchPair(lab, 'a', {
            confirmKey: KEY,
            reports,
            timeoutMs: 60_000,
          });
          for (const side of [invite, accept]) {
            expect(side.punchMs).toBeLessThan(LATEST_MS);
            expect(side).toMatchObject({ ok: false, code: 'NAT_IMPOSSIBLE' });
            expect(side.message).toContain('symmetric NAT');
            expect(side.hint).toContain('IPv6');
          }
        }),
      ),
    );
  });

  test('without a confirmation key the plexus handshake alone passes two port-restricted NATs', async () => {
    await inLab('grid', 'port-restricted', 'port-restricted', async (lab) => {
      const { invite, accept } = await punchPair(lab, 'b', { inviterLateMs: 200 });
      expect(invite).toMatchObject({
        ok: true,
        confirmed: false,
        how: 'reflexive',
        provenBy: 'answer',
        echo: true,
      });
      expect(accept).toMatchObject({ ok: true, confirmed: false, how: 'reflexive', echo: true });
    });
  });
});
