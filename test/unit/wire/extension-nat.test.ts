import { expect, test } from 'vitest';
import { decodeNat, encodeNat } from '../../../src/wire/extension-nat.js';
import { UNMEASURED } from '../../../src/wire/nat-report.js';

test('a report is five characters in RFC 4787 order and a signed step', () => {
  expect(encodeNat(UNMEASURED)).toBe('-----');
  expect(
    encodeNat({
      nat: 'yes',
      mapping: 'endpoint-independent',
      filtering: 'address-and-port-dependent',
      hairpin: 'not-measured',
      portPreservation: 'no',
      portStep: 1,
    }),
  ).toBe('yip-n+1');
});

test('every combination survives the round trip', () => {
  let count = 0;
  for (const a of 'yn-') {
    for (const b of 'iap-') {
      for (const c of 'iap-') {
        for (const d of 'yn-') {
          for (const e of 'yn-') {
            for (const step of ['', '+0', '+65535', '-1']) {
              const text = a + b + c + d + e + step;
              const report = decodeNat(text);
              expect(report && encodeNat(report)).toBe(text);
              count++;
            }
          }
        }
      }
    }
  }
  expect(count).toBe(3 * 4 * 4 * 3 * 3 * 4);
});

test.each([undefined, null, 5, '', 'yip-', 'yip-yy', 'yip-y2', 'yip-y+', 'yip-y+65536', ' yip-y', 'yip-y\n'])(
  '%j is no report',
  (value) => {
    expect(decodeNat(value)).toBeUndefined();
  },
);

test('a step of minus zero is zero', () => {
  expect(decodeNat('yppnn-0')?.portStep).toBe(0);
});
