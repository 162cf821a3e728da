import { expect, test } from 'vitest';
import { type Slab, Slabs } from '../../../src/tunnel/slab.js';

const SIZE = 1000;

function put(slabs: Slabs, bytes: number): Slab {
  const slab = slabs.withRoom(bytes);
  slabs.hold(slab);
  slab.used += bytes;
  return slab;
}

test('neighbours lie side by side, and memory is used again when nothing in it is needed, not before', () => {
  const slabs = new Slabs(SIZE, 10, 1);
  const [one, two, three, four] = [400, 600, 600, 600].map((bytes) => put(slabs, bytes)) as [
    Slab,
    Slab,
    Slab,
    Slab,
  ];
  expect([one === two, two === three, three === four]).toEqual([true, false, false]);
  slabs.release(one);
  expect(put(slabs, 900).memory.buffer).not.toBe(one.memory.buffer);
  slabs.release(two);
  expect(put(slabs, 900).memory.buffer).toBe(one.memory.buffer);
});

test('a slab in which nothing is needed begins anew, and after a rush only the spare ones are kept', () => {
  const slabs = new Slabs(SIZE, 10, 1);
  const rush = Array.from({ length: 5 }, () => put(slabs, SIZE));
  const known = new Set(rush.map(({ memory }) => memory.buffer));
  expect(known.size).toBe(5);
  for (const slab of rush) slabs.release(slab);
  const again = Array.from({ length: 5 }, () => put(slabs, SIZE));
  // The one that was being filled, and the spare one.
  expect(again.filter(({ memory }) => known.has(memory.buffer))).toHaveLength(2);
  for (const slab of again) slabs.release(slab);
  for (let i = 0; i < 100; i++) {
    const slab = put(slabs, 300);
    expect([slab, slab.used]).toEqual([again.at(-1), 300]);
    slabs.release(slab);
  }
});
