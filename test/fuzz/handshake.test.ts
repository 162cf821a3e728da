import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeFrame, encodeFrame } from '../../src/wire/handshake.js';

const RUNS = { numRuns: 5000 };
const secrets = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

test('whatever is encoded is read back, with the same secret', () => {
  fc.assert(
    fc.property(secrets, fc.constantFrom(0 as const, 1 as const), bytes(7), (secret, flag, random) => {
      expect(decodeFrame(secret, encodeFrame(secret, flag, random))).toEqual({ flag });
    }),
    RUNS,
  );
});

test('any bytes are either a frame or nothing, and never an exception', () => {
  fc.assert(
    fc.property(secrets, fc.uint8Array({ maxLength: 64 }), (secret, data) => {
      const frame = decodeFrame(secret, data);
      const check = data.reduce((sum, byte) => sum ^ byte, 0);
      const parity = [...Array(8).keys()].reduce(
        (sum, at) => sum ^ Number((secret >> BigInt(8 * at)) & 0xffn),
        0,
      );
      expect(frame !== undefined).toBe(data.length === 8 && check === parity);
    }),
    RUNS,
  );
});

test('about one random datagram in 256 passes: the figure that the documents give', () => {
  let passed = 0;
  let tried = 0;
  fc.assert(
    fc.property(secrets, bytes(8), (secret, data) => {
      tried += 1;
      if (decodeFrame(secret, data)) passed += 1;
    }),
    { numRuns: 50_000 },
  );
  expect(passed).toBeGreaterThan(0);
  expect(passed).toBeLessThan(tried / 20);
});
