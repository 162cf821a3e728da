import { expect, test } from 'vitest';
import { FloodGuard } from '../../../../src/rendezvous/hyperdht/flood-guard.js';

const EACH = { burst: 5, perSecond: 1 };

test('one source gets its burst and then its rate; another is not touched by that', () => {
  let now = 0;
  const guard = new FloodGuard(EACH, { burst: 100, perSecond: 100 }, 10, () => now);
  const admitted = (source: string, tries: number) =>
    Array.from({ length: tries }, () => guard.admit(source)).filter(Boolean).length;
  expect(admitted('mallory', 50)).toBe(5);
  expect(admitted('alice', 5)).toBe(5);
  now += 2000;
  expect(admitted('mallory', 50)).toBe(2);
  now += 3_600_000;
  expect(admitted('mallory', 50)).toBe(5);
});

test('many sources together are bounded, too', () => {
  const guard = new FloodGuard(EACH, { burst: 20, perSecond: 1 }, 1000, () => 0);
  const admitted = Array.from({ length: 500 }, (_, i) => guard.admit(`s${i}`)).filter(Boolean);
  expect(admitted).toHaveLength(20);
});

test('remembered sources are bounded: forged ones cost no memory', () => {
  const guard = new FloodGuard({ burst: 1, perSecond: 0 }, { burst: 1e9, perSecond: 0 }, 3, () => 0);
  for (const source of ['a', 'b', 'c', 'd']) expect(guard.admit(source)).toBe(true);
  expect(guard.admit('d')).toBe(false);
  // Forgotten, so it counts as new.
  expect(guard.admit('a')).toBe(true);
});
