import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodePassageWord, encodePassageWord } from '../../../src/meepo/passage-word.js';

const endpoint = fc.record({ address: fc.ipV4(), port: fc.integer({ min: 1, max: 65_535 }) });

test('what one awl node tells another comes back as it went out', () => {
  const word = fc.record({
    at: endpoint,
    hosts: fc.array(endpoint, { maxLength: 8 }),
    puzzle: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    dh: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
  });
  fc.assert(
    fc.property(word, (one) => {
      expect(decodePassageWord(encodePassageWord(one))).toEqual(one);
    }),
    { numRuns: 300 },
  );
});

test('any other text is no word, and no error', () => {
  const good = JSON.parse(
    encodePassageWord({
      at: { address: '192.0.2.1', port: 5000 },
      hosts: [],
      puzzle: 1n,
      dh: Buffer.alloc(32),
    }),
  );
  for (const bend of [
    { v: 2 },
    { at: 'x:1' },
    { hosts: 'no' },
    { z: '1' },
    { dh: 'AA' },
    { hosts: Array(9).fill('') },
  ]) {
    expect(decodePassageWord(JSON.stringify({ ...good, ...bend }))).toBeUndefined();
  }
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      expect(decodePassageWord(text)).toBeUndefined();
    }),
    { numRuns: 500 },
  );
});
