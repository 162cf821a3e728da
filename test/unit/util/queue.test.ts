import { expect, test } from 'vitest';
import { AsyncQueue } from '../../../src/util/queue.js';

test('items pushed before and while reading all arrive in order, then the end', async () => {
  const queue = new AsyncQueue<number>();
  queue.push(1);
  const read: number[] = [];
  const reading = (async () => {
    for await (const item of queue) read.push(item);
  })();
  await Promise.resolve();
  queue.push(2);
  await Promise.resolve();
  queue.push(3);
  queue.end();
  queue.push(4);
  await reading;
  expect(read).toEqual([1, 2, 3]);
});

test('an error at the end is thrown after what was queued, and what nobody read can be closed', async () => {
  const queue = new AsyncQueue<string>();
  queue.push('a');
  queue.push('b');
  queue.end(new Error('gone'));
  const read: string[] = [];
  await expect(
    (async () => {
      for await (const item of queue) read.push(item);
    })(),
  ).rejects.toThrow('gone');
  expect(read).toEqual(['a', 'b']);
  const other = new AsyncQueue<string>();
  other.push('left');
  expect(other.drain()).toEqual(['left']);
});
