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
