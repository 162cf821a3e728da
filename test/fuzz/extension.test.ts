import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  CANDIDATE_TYPES,
  decodeExtension,
  type Extension,
  encodeExtension,
} from '../../src/wire/extension.js';
import { decodeNat } from '../../src/wire/extension-nat.js';
import { answersOrRefuses } from '../support/fuzzing.js';

const hash = fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 64, maxLength: 64 });
const endpoint = fc.record({
  address: fc.oneof(fc.ipV4(), fc.ipV6()),
  port: fc.integer({ min: 1, max: 65_535 }),
});
const nat = fc
  .stringMatching(/^[yn-][iap-]{2}[yn-]{2}(?:[+-][1-9]\d{0,3})?$/)
  .map((text) => decodeNat(text)!);
const extension = fc.record<Extension>(
  {
    v: fc.constant(1),
    kind: fc.constantFrom('invite', 'accept'),
    app: fc.stringMatching(/^[\p{L}\p{N} ._-]{1,40}$/u),
    to: hash,
    exp: fc.integer({ min: 0, max: 253_402_300_799 }),
    re: hash,
    dh: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
    cand: fc.array(fc.record({ type: fc.constantFrom(...CANDIDATE_TYPES), endpoint }), { maxLength: 16 }),
    nat,
    caps: fc.array(fc.stringMatching(/^[a-z][a-z0-9-]{0,31}$/), { maxLength: 16 }),
  },
  { requiredKeys: ['v', 'kind', 'app', 'to', 'exp', 'cand', 'caps'] },
);

test('every extension survives the round trip', () => {
  fc.assert(
    fc.property(extension, (value) => {
      expect(decodeExtension(encodeExtension(value))).toEqual(value);
    }),
    { numRuns: 3_000 },
  );
});

test('an extension with any field replaced by anything is refused or still well-formed', () => {
  const key = fc.constantFrom('v', 'kind', 'app', 'to', 'exp', 're', 'dh', 'cand', 'nat', 'caps');
  fc.assert(
    fc.property(extension, key, fc.jsonValue(), (value, name, junk) => {
      const fields = { ...JSON.parse(encodeExtension(value).toString()), [name]: junk };
      answersOrRefuses(
        () => decodeExtension(Buffer.from(JSON.stringify(fields))),
        (read) => expect(decodeExtension(encodeExtension(read))).toEqual(read),
      );
    }),
    { numRuns: 5_000 },
  );
});

test('any bytes and any JSON are refused', () => {
  const json = fc.json().map((text) => Buffer.from(text));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), json), (bytes) => {
      answersOrRefuses(
        () => decodeExtension(bytes),
        () => expect.unreachable(),
      );
    }),
    { numRuns: 5_000 },
  );
});
