import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PLEXUS_BEHAVIOURS } from '../../src/wire/plexus-nat.js';
import { decodeReference, encodeReference, NOWHERE } from '../../src/wire/reference.js';
import { QOS_PROTOS, QOS_ROLES, ROUTES } from '../../src/wire/reference-terms.js';
import { answersOrRefuses } from '../support/fuzzing.js';

const address = fc.oneof(fc.ipV4(), fc.ipV6());
const endpoint = fc.record({ address, port: fc.integer({ min: 1, max: 65_535 }) });
const puzzle = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const behaviour = fc.constantFrom(...PLEXUS_BEHAVIOURS);
const nat = fc.record({
  nat: fc.boolean(),
  hairpin: fc.boolean(),
  randomPort: fc.boolean(),
  variableAddress: fc.boolean(),
  mapping: behaviour,
  filtering: behaviour,
});
const hole = fc.record(
  { endpoint, nat, relay: endpoint, route: fc.constantFrom(...ROUTES) },
  { requiredKeys: ['nat', 'route'] },
);
const terms = fc.record({
  time: fc.integer({ min: 0, max: 7_258_118_400_000_000 }),
  udp: hole,
  tcp: hole,
  qos: fc.record({ proto: fc.constantFrom(...QOS_PROTOS), role: fc.constantFrom(...QOS_ROLES) }),
});
const reference = fc.oneof(
  fc.record({ endpoint, puzzle }),
  fc
    .record({ terms, puzzle })
    .map(({ terms, puzzle }) => ({ endpoint: terms.udp.endpoint ?? NOWHERE, puzzle, terms })),
);
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
        fc.constantFrom(
          'PLEXUS',
          '3.0',
          '3.3',
          '3.4',
          '0.0.0.0',
          '::',
          '0.0.0.0:0',
          '10000011',
          'udp:either',
          'direct',
        ),
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
