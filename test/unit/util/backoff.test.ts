import { expect, test } from 'vitest';
import { backoffMs } from '../../../src/util/backoff.js';

test('waits double from 1 s to 60 s and stay there, however long the outage', () => {
  const most = (attempt: number) => backoffMs(attempt, { random: () => 1 });
  expect([0, 1, 2, 3, 5, 6, 7, 1000].map(most)).toEqual([1000, 2000, 4000, 8000, 32000, 60000, 60000, 60000]);
});

test('half of a wait is jitter, and never less than half is waited', () => {
  expect(backoffMs(0, { random: () => 0 })).toBe(500);
  expect(backoffMs(10, { random: () => 0 })).toBe(30_000);
});
