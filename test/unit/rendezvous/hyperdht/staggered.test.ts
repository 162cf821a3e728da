import { expect, test } from 'vitest';
import { staggered } from '../../../../src/rendezvous/hyperdht/staggered.js';

const never = new AbortController().signal;
const LONG = 60_000;

test('a way that fails begins the next at once; the first success ends the rest', async () => {
  const begun: number[] = [];
  const result = await staggered(
    [1, 2, 3, 4],
    LONG,
    async (way) => {
      begun.push(way);
      if (way < 3) throw new Error(`way ${way}`);
      return way;
    },
    never,
  );
  expect(result).toBe(3);
  expect(begun).toEqual([1, 2, 3]);
});

test('a silent way does not hold up the next, and is told when it is over', async () => {
  const aborted: number[] = [];
  const result = await staggered(
    [1, 2],
    1,
    (way, signal) => {
      if (way === 2) return Promise.resolve('second');
      return new Promise<string>((_, reject) => {
        signal.addEventListener('abort', () => {
          aborted.push(way);
          reject(signal.reason);
        });
      });
    },
    never,
  );
  expect(result).toBe('second');
  expect(aborted).toEqual([1]);
});

test('an earlier way that answers late still wins', async () => {
  let answer = (_text: string) => {};
  const result = staggered(
    [1, 2],
    1,
    (way) => {
      if (way === 1) {
        return new Promise<string>((resolve) => {
          answer = resolve;
        });
      }
      answer('first');
      return new Promise<string>(() => {});
    },
    never,
  );
  expect(await result).toBe('first');
});

test('when all fail it fails with the last reason; with no way at once', async () => {
  const fail = async (way: number) => {
    throw new Error(`way ${way}`);
  };
  await expect(staggered([1, 2], LONG, fail, never)).rejects.toThrow('way 2');
  await expect(staggered([], LONG, fail, never)).rejects.toThrow('no way');
});

test('the signal’s reason ends it, whatever is under way', async () => {
  const stop = new AbortController();
  const hanging = staggered([1], LONG, () => new Promise<string>(() => {}), stop.signal);
  stop.abort(new Error('stopped'));
  await expect(hanging).rejects.toThrow('stopped');
});
