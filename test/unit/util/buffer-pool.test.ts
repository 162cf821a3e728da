import { expect, test } from 'vitest';
import { BufferPool } from '../../../src/util/buffer-pool.js';

const SIZE = 65_536;

test('what was given back is handed out again, and nothing is handed out twice', () => {
  const pool = new BufferPool(SIZE, 2);
  const [one, two] = [pool.take(SIZE), pool.take(SIZE - 1)];
  expect([one.length, two.length]).toEqual([SIZE, SIZE - 1]);
  expect(one.buffer).not.toBe(two.buffer);
  pool.give(two);
  const again = pool.take(SIZE);
  expect(again.buffer).toBe(two.buffer);
  expect(pool.take(SIZE).buffer).not.toBe(two.buffer);
});

test('no more than its limit waits', () => {
  const pool = new BufferPool(SIZE, 1);
  const [one, two] = [pool.take(SIZE), pool.take(SIZE)];
  pool.give(one);
  pool.give(two);
  expect(pool.take(SIZE).buffer).toBe(one.buffer);
  expect(pool.take(SIZE).buffer).not.toBe(two.buffer);
});

test('of many in use as many wait as are still in use, and what is over then goes', () => {
  const pool = new BufferPool(SIZE, 2);
  const used = Array.from({ length: 100 }, () => pool.take(SIZE));
  const known = new Set(used.map(({ buffer }) => buffer));
  const knows = (count: number): number =>
    Array.from({ length: count }, () => pool.take(SIZE)).filter(({ buffer }) => known.has(buffer)).length;
  for (const one of used.splice(0, 50)) pool.give(one);
  expect(knows(51)).toBe(50);
  const other = new BufferPool(SIZE, 2);
  const all = Array.from({ length: 100 }, () => other.take(SIZE));
  for (const one of all) other.give(one);
  const again = new Set(all.map(({ buffer }) => buffer));
  const left = Array.from({ length: 10 }, () => other.take(SIZE)).filter(({ buffer }) => again.has(buffer));
  expect(left).toHaveLength(2);
});

test('memory that is not its own is not taken in, and small or huge wishes are met from elsewhere', () => {
  const pool = new BufferPool(SIZE, 4);
  pool.give(Buffer.alloc(100));
  pool.give(Buffer.from(new ArrayBuffer(SIZE), 1));
  const small = pool.take(100);
  pool.give(small);
  const huge = pool.take(SIZE + 1);
  pool.give(huge);
  expect([small.length, huge.length]).toEqual([100, SIZE + 1]);
  expect(pool.take(SIZE).buffer).not.toBe(huge.buffer);
});
