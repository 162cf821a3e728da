import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { PunchMachine } from '../../src/punch/machine.js';
import { decodeFrame } from '../../src/wire/handshake.js';
import { planFor } from '../support/plan.js';

const PEER = { address: '203.0.113.10', port: 40_000 };

/**
 * RELIABILITY F3: validity is one XOR of 8 bytes, so 512 frames (both values of bit 0 of the first byte, all values of
 * the last) hold one valid frame of each flag, whatever the secret.
 */
function sweep(): Buffer[] {
  return Array.from({ length: 512 }, (_, n) => Buffer.from([n >> 8, 0, 0, 0, 0, 0, 0, n & 0xff]));
}

function machine(secret: bigint, confirmKey?: Buffer): PunchMachine {
  return new PunchMachine(
    {
      role: 'accept',
      secret,
      peer: PEER,
      plan: planFor('accept', PEER),
      moving: false,
      timeoutMs: 60_000,
      allow: () => true,
      random: (count) => randomBytes(count),
      ...(confirmKey ? { confirmKey } : {}),
    },
    0,
  );
}

describe('an off-path sweep of 512 frames from the peer endpoint', () => {
  test('always holds valid frames of both flags, so the legacy handshake alone proves little', () => {
    for (let round = 0; round < 50; round++) {
      const secret = randomBytes(8).readBigUInt64BE();
      const hits = sweep().flatMap((data) => decodeFrame(secret, data) ?? []);
      expect(hits.map(({ flag }) => flag).sort()).toEqual([0, 1]);
    }
  });

  test('does not succeed against a session with a confirmation key, and costs few datagrams', () => {
    for (let round = 0; round < 50; round++) {
      const one = machine(randomBytes(8).readBigUInt64BE(), randomBytes(32));
      let now = 0;
      for (const data of sweep()) {
        now += 1;
        one.datagram(PEER, data, now);
      }
      for (; now < 59_000; now += 100) one.tick(now);
      expect(one.provenAt).toBeUndefined();
      expect(one.outcome).toBeUndefined();
      expect(one.authentic).toBe(false);
      expect(one.stats.sentBytes).toBeLessThanOrEqual(2048 + 3 * 8 * one.stats.valid);
    }
  });

  test('from other addresses does not succeed against a legacy session', () => {
    const one = machine(7n);
    for (const data of sweep()) one.datagram({ address: '198.51.100.66', port: 40_000 }, data, 1);
    expect(one.provenAt).toBeUndefined();
    expect(one.stats.foreign).toBe(512);
    expect(one.take()).toEqual([]);
  });
});

test('a hundred thousand random 32-byte datagrams confirm nothing', { timeout: 60_000 }, () => {
  const one = machine(7n, randomBytes(32));
  for (let block = 0; block < 100; block++) {
    const noise = randomBytes(32 * 10_000);
    for (let at = 0; at < noise.length; at += 320) one.datagram(PEER, noise.subarray(at, at + 32), block);
  }
  expect(one.authentic).toBe(false);
  expect(one.stats.bad).toBe(100_000);
});
