import { expect, test } from 'vitest';
import { backoffMs } from '../../../src/util/backoff.js';

test('waits grow from half a second to a minute and never reach nought, so a dead server is not hammered', () => {
  for (const random of [() => 0, () => 0.999]) {
    const waits = Array.from({ length: 40 }, (_, attempt) => backoffMs(attempt, { random }));
    expect(waits[0]).toBeGreaterThanOrEqual(500);
    expect(Math.max(...waits)).toBeLessThanOrEqual(60_000);
    expect(waits.at(-1)).toBeGreaterThanOrEqual(30_000);
  }
});
