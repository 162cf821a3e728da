import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { decodeFrame, encodeFrame } from '../../../src/wire/handshake.js';

interface Run {
  readonly run: string;
  readonly secret: string;
  readonly datagrams: readonly { readonly hex: string; readonly plain: string; readonly flag: 0 | 1 }[];
}

const FOLDER = fileURLToPath(new URL('../../fixtures/handshake/', import.meta.url));
const RUNS = readdirSync(FOLDER).map((file): Run => JSON.parse(readFileSync(FOLDER + file, 'utf8')));

describe('captured runs of the real plexus', () => {
  test('are all seven here', () => {
    expect(RUNS.length).toBe(7);
  });

  test.each(RUNS)(
    '$run: every datagram is read, and written again byte for byte',
    ({ secret, datagrams }) => {
      expect(datagrams.length).toBeGreaterThanOrEqual(4);
      for (const { hex, plain, flag } of datagrams) {
        const data = Buffer.from(hex, 'hex');
        expect(decodeFrame(BigInt(secret), data)).toEqual({ flag });
        expect(encodeFrame(BigInt(secret), flag, Buffer.from(plain, 'hex').subarray(0, 7))).toEqual(data);
      }
    },
  );
});

describe('a frame', () => {
  const secret = 0x0123456789abcdefn;
  const frame = encodeFrame(secret, 1, Buffer.from('00112233445566', 'hex'));

  test('is XORed with the secret, least significant byte first', () => {
    expect(frame[0]).toBe(0x01 ^ 0xef);
    expect(frame[6]).toBe(0x66 ^ 0x23);
  });

  test('with any single bit flipped is refused', () => {
    for (let bit = 0; bit < 64; bit++) {
      const bad = Buffer.from(frame);
      bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(decodeFrame(secret, bad)).toBeUndefined();
    }
  });

  test('of another length is refused', () => {
    for (const length of [0, 1, 7, 9, 32, 1500])
      expect(decodeFrame(0n, Buffer.alloc(length))).toBeUndefined();
  });

  test('needs exactly seven random bytes', () => {
    expect(() => encodeFrame(secret, 0, Buffer.alloc(8))).toThrow(RangeError);
  });

  test('of one session can be forged into the other flag by who saw it: a hint, not a proof', () => {
    const forged = Buffer.from(frame);
    forged[0] = (forged[0] ?? 0) ^ 1;
    forged[7] = (forged[7] ?? 0) ^ 1;
    expect(decodeFrame(secret, forged)).toEqual({ flag: 0 });
  });
});
