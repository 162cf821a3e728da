import { expect, test } from 'vitest';
import { Turnstile } from '../../../src/util/turnstile.js';

const forever = new AbortController().signal;

test('never more than its places are inside, and everybody gets through, the first first', async () => {
  const turnstile = new Turnstile(2);
  const order: number[] = [];
  let inside = 0;
  let most = 0;
  const go = (number: number) =>
    turnstile.run(async () => {
      order.push(number);
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
      if (number === 3) throw new Error('three');
      return number;
    }, forever);
  const all = await Promise.allSettled([0, 1, 2, 3, 4, 5].map(go));
  expect(all.map(({ status }) => status)).toEqual([
    ...['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  ]);
  expect(order).toEqual([0, 1, 2, 3, 4, 5]);
  expect(most).toBe(2);
});

test('who gives up waiting leaves the others their turn, and a place that is not lost', async () => {
  const turnstile = new Turnstile(1);
  let open = () => {};
  const first = turnstile.run(() => new Promise<void>((resolve) => (open = resolve)), forever);
  const impatient = new AbortController();
  const second = turnstile.run(async () => 'second', impatient.signal);
  const third = turnstile.run(async () => 'third', forever);
  impatient.abort(new Error('too long'));
  await expect(second).rejects.toThrow('too long');
  open();
  await first;
  expect(await third).toBe('third');
  expect(await turnstile.run(async () => 'fourth', forever)).toBe('fourth');
  await expect(turnstile.run(async () => 'fifth', impatient.signal)).rejects.toThrow('too long');
});
