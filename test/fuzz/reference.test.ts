import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeReference, encodeReference } from '../../src/wire/reference.js';
import { answersOrRefuses } from '../support/fuzzing.js';

const address = fc.oneof(fc.ipV4(), fc.ipV6());
const reference = fc.record({
  endpoint: fc.record({ address, port: fc.integer({ min: 1, max: 65_535 }) }),
  puzzle: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
});
const blank = fc.string({ unit: fc.constantFrom(' ', '\t', '\r', '\n'), minLength: 1, maxLength: 5 });

test('every reference survives the round trip', () => {
  fc.assert(
    fc.property(reference, (value) => {
      expect(decodeReference(encodeReference(value))).toEqual(value);
    }),
    { numRuns: 5_000 },
  );
});

test('white space does not matter', () => {
  fc.assert(
    fc.property(reference, blank, blank, blank, (value, before, between, after) => {
      const text = `${before}${encodeReference(value).replaceAll(' ', between)}${after}`;
      expect(decodeReference(text)).toEqual(value);
    }),
    { numRuns: 2_000 },
  );
});

test('any text is a reference or refused', () => {
  const nearly = fc
    .array(
      fc.oneof(
        fc.constantFrom('PLEXUS', '3.0', '3.3', '3.4', '0.0.0.0', '::'),
        fc.nat().map(String),
        fc.string(),
      ),
    )
    .map((fields) => fields.join(' '));
  fc.assert(
    fc.property(fc.oneof(nearly, fc.string({ unit: 'binary' })), (text) => {
      answersOrRefuses(
        () => decodeReference(text),
        (value) => {
          expect(decodeReference(encodeReference(value))).toEqual(value);
        },
      );
    }),
    { numRuns: 10_000 },
  );
});
