import { expect, test } from 'vitest';
import { RateLimit } from '../../../src/stun/rate-limit.js';

test('a source gets its burst, then its rate, and does not save up beyond the burst', () => {
  const limit = new RateLimit({ burst: 3, perSecond: 2, maxSources: 10 });
  const admitted = (at: number, tries: number) =>
    Array.from({ length: tries }, () => limit.admit('a', at)).filter(Boolean).length;
  expect(admitted(0, 5)).toBe(3);
  expect(admitted(400, 5)).toBe(0);
  expect(admitted(1000, 5)).toBe(2);
  expect(admitted(1_000_000, 5)).toBe(3);
});

test('one source over its limit does not touch another', () => {
  const limit = new RateLimit({ burst: 1, perSecond: 1, maxSources: 10 });
  expect([limit.admit('a', 0), limit.admit('a', 0), limit.admit('b', 0)]).toEqual([true, false, true]);
});

test('a flood of forged sources does not grow the memory, and the busiest is not forgotten', () => {
  const limit = new RateLimit({ burst: 1, perSecond: 1, maxSources: 100 });
  for (let i = 0; i < 10_000; i++) {
    limit.admit(`forged ${i}`, i / 1000);
    limit.admit('busy', i / 1000);
  }
  expect(limit.sources).toBe(100);
  expect(limit.admit('busy', 10)).toBe(false);
});
