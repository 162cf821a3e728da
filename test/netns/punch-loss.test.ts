import { describe, expect, test } from 'vitest';
import { Lab } from '../support/lab.js';
import { needs } from '../support/needs.js';
import { punchPair } from './punch-pair.js';

describe.skipIf(!needs('root', 'ip', 'nft', 'python3'))(
  'over links that lose a fifth of all datagrams',
  () => {
    test.each([
      ['port-restricted', 'port-restricted'],
      ['symmetric', 'restricted'],
    ])('%s and %s still connect within five seconds, and both sides know', async (a, b) => {
      const lab = await Lab.up('loss', { a, b, hops: 6, loss: '20%' });
      try {
        await lab.stun();
        const { invite, accept } = await punchPair(lab, 'a', { confirmKey: '5c'.repeat(32) });
        expect(invite).toMatchObject({ ok: true, confirmed: true, echo: true });
        expect(accept).toMatchObject({ ok: true, confirmed: true, echo: true });
        expect(invite.stats?.elapsedMs).toBeLessThan(5000);
        expect(accept.stats?.elapsedMs).toBeLessThan(5000);
      } finally {
        await lab.down();
      }
    });
  },
);
