import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeConfirm,
  deriveConfirmKey,
  directionKey,
  encodeConfirm,
  encodeConfirmAck,
  isConfirmAck,
} from '../../src/wire/confirm.js';

const RUNS = { numRuns: 2000 };
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const digest = bytes(32).map((data) => Buffer.from(data).toString('hex'));

test('frames made with a key are read with it and with no other', () => {
  fc.assert(
    fc.property(bytes(32), bytes(32), bytes(8), bytes(8), (key, other, nonce, second) => {
      fc.pre(!Buffer.from(key).equals(other) && !Buffer.from(nonce).equals(second));
      const frame = encodeConfirm(key, nonce);
      const ack = encodeConfirmAck(key, second, nonce);
      expect(decodeConfirm(key, frame)).toEqual(Buffer.from(nonce));
      expect(isConfirmAck(key, ack, nonce)).toBe(true);
      expect(decodeConfirm(other, frame)).toBeUndefined();
      expect(isConfirmAck(other, ack, nonce)).toBe(false);
      expect(isConfirmAck(key, ack, second)).toBe(false);
      expect(decodeConfirm(key, ack)).toBeUndefined();
    }),
    RUNS,
  );
});

test('no random bytes confirm or acknowledge anything, and none make an exception', () => {
  const key = Buffer.alloc(32, 1);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), bytes(8), (data, nonce) => {
      expect(decodeConfirm(key, data)).toBeUndefined();
      expect(isConfirmAck(key, data, nonce)).toBe(false);
    }),
    { numRuns: 20_000 },
  );
});

test('a flipped bit anywhere in a frame is noticed', () => {
  fc.assert(
    fc.property(bytes(32), bytes(8), fc.nat(255), (key, nonce, bit) => {
      const frame = encodeConfirm(key, nonce);
      frame[bit >> 3] = (frame[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(decodeConfirm(key, frame)).toBeUndefined();
    }),
    RUNS,
  );
});

test('both sides derive the same key, the two directions differ, and every input counts', () => {
  const secrets = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  fc.assert(
    fc.property(bytes(32), secrets, digest, digest, (sharedSecret, secret, inviteDigest, acceptDigest) => {
      fc.pre(sharedSecret.some((byte) => byte !== 0) && inviteDigest !== acceptDigest);
      const material = { sharedSecret, secret, inviteDigest, acceptDigest };
      const key = deriveConfirmKey(material);
      expect(deriveConfirmKey({ ...material })).toEqual(key);
      expect(directionKey(key, 'invite')).not.toEqual(directionKey(key, 'accept'));
      expect(
        deriveConfirmKey({ ...material, inviteDigest: acceptDigest, acceptDigest: inviteDigest }),
      ).not.toEqual(key);
    }),
    RUNS,
  );
});
