import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  OPENDHT_ASSEMBLIES_MAX,
  OPENDHT_ASSEMBLY_IDLE_MS,
  OPENDHT_ASSEMBLY_MS,
  OPENDHT_LETTER_MAX_BYTES,
} from '../../../../src/constants.js';
import { Assembler } from '../../../../src/rendezvous/opendht/assembly.js';

const cut = (index: number, value: Buffer, size = 1000) =>
  Array.from({ length: Math.ceil(value.length / size) }, (_, i) => ({
    index,
    offset: i * size,
    data: value.subarray(i * size, (i + 1) * size),
  }));

const VALUE = randomBytes(2500);

test('a value comes together whatever the order of its fragments, each value as soon as it is whole', () => {
  const assembler = new Assembler();
  const other = randomBytes(10);
  expect(assembler.announce('a', [2500, 10], 0)).toEqual({ values: [], done: false });
  const [first, second, third] = cut(0, VALUE);
  expect(assembler.add('a', [third!], 1).values).toEqual([]);
  expect(assembler.add('a', [first!], 1).values).toEqual([]);
  expect(assembler.add('a', [second!], 1)).toEqual({ values: [VALUE], done: false });
  expect(assembler.add('a', cut(1, other), 1)).toEqual({ values: [other], done: true });
  expect(assembler.size).toBe(0);
});

test('fragments that overtake their message are not lost', () => {
  const assembler = new Assembler();
  expect(assembler.add('a', cut(0, VALUE), 0)).toEqual({ values: [], done: false });
  expect(assembler.announce('a', [2500], 0)).toEqual({ values: [VALUE], done: true });
});

test('a repetition changes nothing, and nobody can change a part that has come', () => {
  const assembler = new Assembler();
  assembler.announce('a', [2500], 0);
  const [first, second, third] = cut(0, VALUE);
  assembler.add('a', [first!], 0);
  assembler.add('a', [{ ...first!, data: Buffer.alloc(1000) }], 0);
  assembler.announce('a', [2500], 0);
  expect(assembler.add('a', [first!, second!, third!], 0).values).toEqual([VALUE]);
});

test('messages of others, fragments beyond the end and of values that were not announced do nothing', () => {
  const assembler = new Assembler();
  assembler.announce('a', [100], 0);
  const data = randomBytes(100);
  expect(assembler.add('b', [{ index: 0, offset: 0, data }], 0).values).toEqual([]);
  expect(assembler.add('a', [{ index: 0, offset: 1, data }], 0).values).toEqual([]);
  expect(assembler.add('a', [{ index: 1, offset: 0, data }], 0).values).toEqual([]);
  expect(assembler.add('a', [{ index: 0, offset: 0, data }], 0).values).toEqual([data]);
});

test('fragments that overlap do not make a value out of holes', () => {
  const assembler = new Assembler();
  assembler.announce('a', [100], 0);
  const piece = (offset: number, length: number) => ({ index: 0, offset, data: Buffer.alloc(length, 1) });
  expect(assembler.add('a', [piece(0, 40), piece(30, 70)], 0).done).toBe(false);
  expect(assembler.add('a', [piece(40, 60)], 0).done).toBe(true);
});

test('values too large to be letters are not collected and hold up nobody', () => {
  const assembler = new Assembler();
  const small = randomBytes(50);
  assembler.announce('a', [OPENDHT_LETTER_MAX_BYTES + 1, 50, 60_000], 0);
  expect(assembler.add('a', cut(1, small), 0)).toEqual({ values: [small], done: true });
});

test('what is announced and never sent is given up, and takes bounded memory', () => {
  const assembler = new Assembler();
  for (let n = 0; n < 10_000; n++) assembler.announce(`flood ${n}`, [16_000, 16_000, 16_000], n / 1000);
  expect(assembler.size).toBeLessThanOrEqual(OPENDHT_ASSEMBLIES_MAX);
  const late = 10 + OPENDHT_ASSEMBLY_IDLE_MS + 1;
  assembler.announce('honest', [2500], late);
  expect(assembler.size).toBe(1);
  expect(assembler.add('honest', cut(0, VALUE), late).values).toEqual([VALUE]);
});

test('a message whose fragments trickle in has ten seconds and no more', () => {
  const assembler = new Assembler();
  assembler.announce('slow', [100], 0);
  for (let now = 1000; now <= OPENDHT_ASSEMBLY_MS; now += 1000) {
    assembler.add('slow', [{ index: 0, offset: now / 1000, data: Buffer.alloc(1) }], now);
  }
  expect(assembler.size).toBe(1);
  assembler.add('other', [], OPENDHT_ASSEMBLY_MS + 1);
  expect(assembler.size).toBe(1);
  expect(
    assembler.add('slow', [{ index: 0, offset: 0, data: Buffer.alloc(100) }], OPENDHT_ASSEMBLY_MS + 2),
  ).toEqual({
    values: [],
    done: false,
  });
});
