import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodePassageWord, encodePassageWord, NO_WORD } from '../../../src/meepo/passage-word.js';
import { CANDIDATE_TYPES } from '../../../src/wire/extension.js';

const endpoint = fc.record({ address: fc.ipV4(), port: fc.integer({ min: 1, max: 65_535 }) });
const NAT = {
  nat: 'yes',
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  hairpin: 'not-measured',
  portPreservation: 'not-measured',
} as const;

test('what one awl node tells another comes back as it went out', () => {
  const word = fc.record({
    outer: endpoint,
    puzzle: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    dh: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
    cand: fc.array(fc.record({ type: fc.constantFrom(...CANDIDATE_TYPES), endpoint }), { maxLength: 16 }),
    fresh: fc.array(endpoint, { maxLength: 4 }),
    nat: fc.constant(NAT),
    caps: fc.array(fc.constantFrom('confirm', 'choice', 'birthday'), { maxLength: 3 }),
  });
  fc.assert(
    fc.property(word, (one) => {
      expect(decodePassageWord(encodePassageWord(one))).toEqual(one);
    }),
    { numRuns: 300 },
  );
});

test('any other text is no word, and no error', () => {
  const outer = { address: '192.0.2.1', port: 5000 };
  const good = JSON.parse(
    encodePassageWord({ outer, puzzle: 1n, dh: Buffer.alloc(32), cand: [], caps: ['confirm'] }),
  );
  expect(decodePassageWord(JSON.stringify(good))?.outer).toEqual(outer);
  for (const bend of [
    { v: 1 },
    { at: 'x:1' },
    { cand: 'no' },
    { z: '1' },
    { dh: 'AA' },
    { dh: undefined },
    { fresh: Array(9).fill('192.0.2.1:1') },
    { nat: 'no' },
    { caps: [1] },
  ]) {
    expect(decodePassageWord(JSON.stringify({ ...good, ...bend }))).toBeUndefined();
  }
  expect(decodePassageWord(NO_WORD)).toBeUndefined();
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      expect(decodePassageWord(text)).toBeUndefined();
    }),
    { numRuns: 500 },
  );
});
