import { createHmac, hkdfSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { isAwlError } from '../../../src/errors.js';
import { addressToBytes } from '../../../src/util/ip-bytes.js';
import {
  type ConfirmKeyMaterial,
  decodeChoice,
  decodeChoiceAck,
  decodeConfirm,
  deriveConfirmKey,
  directionKey,
  encodeChoice,
  encodeChoiceAck,
  encodeConfirm,
  encodeConfirmAck,
  isConfirmAck,
} from '../../../src/wire/confirm.js';

const MATERIAL: ConfirmKeyMaterial = {
  sharedSecret: Buffer.alloc(32, 0x11),
  secret: 1537732126717276277n,
  inviteDigest: 'aa'.repeat(32),
  acceptDigest: 'bb'.repeat(32),
};

describe('the confirmation key', () => {
  test('is what docs/PROTOCOL.md says, computed step by step', () => {
    const puzzle = Buffer.alloc(8);
    puzzle.writeBigUInt64BE(MATERIAL.secret);
    const ikm = Buffer.concat([MATERIAL.sharedSecret, puzzle]);
    const prk = createHmac('sha256', Buffer.alloc(32)).update(ikm).digest();
    const info = Buffer.concat([
      Buffer.from('awl confirm key v1'),
      Buffer.alloc(32, 0xaa),
      Buffer.alloc(32, 0xbb),
    ]);
    const okm = createHmac('sha256', prk)
      .update(Buffer.concat([info, Buffer.of(1)]))
      .digest();
    expect(deriveConfirmKey(MATERIAL)).toEqual(okm);
    expect(okm.toString('hex')).toBe('72689dc52c6e3dd6b355231ec74a5ff83ede5a82e032ffa2bdc3d5c6da610dc0');
  });

  test.each([
    ['the shared secret', { sharedSecret: Buffer.alloc(32, 0x12) }],
    ['the puzzles', { secret: MATERIAL.secret ^ 1n }],
    ['the invitation', { inviteDigest: 'ab'.repeat(32) }],
    ['the answer', { acceptDigest: 'ba'.repeat(32) }],
    ['the order of the two messages', { inviteDigest: 'bb'.repeat(32), acceptDigest: 'aa'.repeat(32) }],
  ])('changes with %s', (_what, change) => {
    expect(deriveConfirmKey({ ...MATERIAL, ...change })).not.toEqual(deriveConfirmKey(MATERIAL));
  });

  test.each([
    ['an all-zero shared secret (low-order key)', { sharedSecret: Buffer.alloc(32) }],
    ['a short shared secret', { sharedSecret: Buffer.alloc(31, 1) }],
    ['a digest that is none', { inviteDigest: 'zz' }],
  ])('is refused from %s', (_what, change) => {
    try {
      deriveConfirmKey({ ...MATERIAL, ...change });
      expect.unreachable();
    } catch (error) {
      expect(isAwlError(error, 'MESSAGE_MALFORMED')).toBe(true);
    }
  });
});

describe('confirm frames', () => {
  const key = Buffer.alloc(32, 7);
  const invite = directionKey(key, 'invite');
  const accept = directionKey(key, 'accept');
  const nonce = Buffer.from('0102030405060708', 'hex');
  const other = Buffer.from('1112131415161718', 'hex');

  test('have 32 bytes: the nonce, then a cut HMAC over type and nonce', () => {
    const frame = encodeConfirm(invite, nonce);
    const mac = createHmac('sha256', invite).update(Buffer.of(1)).update(nonce).digest();
    expect(frame).toEqual(Buffer.concat([nonce, mac.subarray(0, 24)]));
    expect(invite).toEqual(Buffer.from(hkdfSync('sha256', key, '', 'awl confirm frame v1 from invite', 32)));
  });

  test('that come back to their sender are refused', () => {
    expect(decodeConfirm(accept, encodeConfirm(invite, nonce))).toBeUndefined();
    expect(isConfirmAck(accept, encodeConfirmAck(invite, other, nonce), nonce)).toBe(false);
  });

  test('of one type do not pass as the other', () => {
    expect(decodeConfirm(invite, encodeConfirmAck(invite, other, nonce))).toBeUndefined();
    expect(isConfirmAck(invite, encodeConfirm(invite, other), nonce)).toBe(false);
  });

  test('acknowledge only the confirm that they name', () => {
    const ack = encodeConfirmAck(invite, other, nonce);
    expect(isConfirmAck(invite, ack, nonce)).toBe(true);
    expect(isConfirmAck(invite, ack, other)).toBe(false);
  });

  test('with any byte changed, or of another length, are refused', () => {
    const frame = encodeConfirm(invite, nonce);
    for (let at = 0; at < frame.length; at++) {
      const bad = Buffer.from(frame);
      bad[at] = (bad[at] ?? 0) ^ 0x80;
      expect(decodeConfirm(invite, bad)).toBeUndefined();
    }
    for (const length of [0, 8, 31, 33]) expect(decodeConfirm(invite, Buffer.alloc(length))).toBeUndefined();
    expect(decodeConfirm(invite, frame)).toEqual(nonce);
  });

  test('are made from a 32-byte key and an 8-byte nonce only', () => {
    expect(() => directionKey(Buffer.alloc(16), 'invite')).toThrow(RangeError);
    expect(() => encodeConfirm(invite, Buffer.alloc(7))).toThrow(RangeError);
  });
});

describe('the choice', () => {
  const key = directionKey(deriveConfirmKey(MATERIAL), 'invite');
  const other = directionKey(deriveConfirmKey(MATERIAL), 'accept');
  const nonce = Buffer.alloc(8, 1);
  const path = Buffer.alloc(8, 2);

  test('names one path and is read with the key of its direction only', () => {
    const choice = encodeChoice(key, nonce, path);
    expect(choice.length).toBe(32);
    expect(decodeChoice(key, choice, path)).toEqual({ nonce });
    expect(decodeChoice(key, choice, Buffer.alloc(8, 3))).toBeUndefined();
    expect(decodeChoice(other, choice, path)).toBeUndefined();
  });

  test('and its answer are no other frames of the dialogue, whatever the nonces', () => {
    const frames = {
      confirm: encodeConfirm(key, nonce),
      ack: encodeConfirmAck(key, nonce, path),
      choice: encodeChoice(key, nonce, path),
      choiceAck: encodeChoiceAck(key, nonce, path),
    };
    const readings = Object.values(frames).map((frame) => [
      decodeConfirm(key, frame) !== undefined,
      isConfirmAck(key, frame, path),
      decodeChoice(key, frame, path) !== undefined,
      decodeChoiceAck(key, frame, path) !== undefined,
    ]);
    expect(readings).toEqual([0, 1, 2, 3].map((row) => [0, 1, 2, 3].map((column) => row === column)));
  });

  test.each([
    { address: '203.0.113.7', port: 40_001 },
    { address: '2001:db8::7', port: 1 },
  ])('and its answer say where the other side is seen, not in clear: $address', (seen) => {
    const choice = encodeChoice(key, nonce, path, seen);
    const answer = encodeChoiceAck(key, nonce, path, seen);
    expect([choice.length, answer.length]).toEqual([50, 50]);
    expect(decodeChoice(key, choice, path)).toEqual({ nonce, seen });
    expect(decodeChoiceAck(key, answer, path)).toEqual({ nonce, seen });
    expect(choice.includes(addressToBytes(seen.address))).toBe(false);
  });

  test('with any byte of what was seen changed or cut off is refused', () => {
    const choice = encodeChoice(key, nonce, path, { address: '203.0.113.7', port: 40_001 });
    for (let at = 0; at < choice.length; at++) {
      const bad = Buffer.from(choice);
      bad[at] = (bad[at] ?? 0) ^ 1;
      expect(decodeChoice(key, bad, path)).toBeUndefined();
      expect(decodeChoice(key, choice.subarray(0, at), path)).toBeUndefined();
    }
  });
});
