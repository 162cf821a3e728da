import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeMsgpack, encodeMsgpack, type Msgpack, splitArray, splitMap } from '../../src/wire/msgpack.js';
import { answersOrRefuses } from '../support/fuzzing.js';

const RUNS = { numRuns: 5000 };

const { value } = fc.letrec<{ value: Msgpack; leaf: Msgpack }>((tie) => ({
  leaf: fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.nat(),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  ),
  value: fc.oneof(
    { depthSize: 'small', maxDepth: 4 },
    tie('leaf'),
    fc.array(tie('value'), { maxLength: 8 }),
    fc
      .uniqueArray(fc.tuple(fc.string({ maxLength: 8 }), tie('value')), {
        maxLength: 8,
        selector: ([key]) => key,
      })
      .map((entries) => new Map(entries)),
  ),
}));

/** What reading makes of what was written: numbers as small as they go. */
function asRead(written: Msgpack): unknown {
  if (typeof written === 'bigint') return written <= Number.MAX_SAFE_INTEGER ? Number(written) : written;
  if (Array.isArray(written)) return written.map(asRead);
  if (written instanceof Map) return new Map([...written].map(([key, item]) => [key, asRead(item)]));
  return written;
}

test('what is written reads as what it was', () => {
  fc.assert(
    fc.property(value, (written) => {
      expect(decodeMsgpack(encodeMsgpack(written))).toEqual(asRead(written));
    }),
    RUNS,
  );
});

test('random bytes are read or refused, never an exception of another kind', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const data = Buffer.from(bytes);
      answersOrRefuses(() => decodeMsgpack(data));
      answersOrRefuses(() => splitMap(data));
      answersOrRefuses(() => splitArray(data));
    }),
    { numRuns: 20_000 },
  );
});

test('a changed or cut encoding is read or refused, at a cost that its size bounds', () => {
  fc.assert(
    fc.property(value, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat(), (written, at, byte, cut) => {
      const data = encodeMsgpack(written);
      data[at % data.length] = byte;
      const begun = performance.now();
      answersOrRefuses(() => decodeMsgpack(data.subarray(0, (cut % data.length) + 1)));
      answersOrRefuses(() => decodeMsgpack(data));
      expect(performance.now() - begun).toBeLessThan(3000);
    }),
    RUNS,
  );
});

test('the pieces of a split map are exactly its bytes', () => {
  const maps = fc.dictionary(fc.string({ maxLength: 10 }), value, { maxKeys: 5 });
  fc.assert(
    fc.property(maps, (written) => {
      const map = new Map(Object.entries(written));
      const pieces = splitMap(encodeMsgpack(map));
      expect([...pieces.keys()]).toEqual([...map.keys()]);
      for (const [key, item] of map) expect(pieces.get(key)?.equals(encodeMsgpack(item))).toBe(true);
    }),
    { numRuns: 1000 },
  );
});
