import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { openParcel, wrapParcel } from '../../../../src/rendezvous/hyperdht/parcel.js';

const KEY = randomBytes(32);
const NAMES = {
  from: { owner: 'alice@example.org', pin: 'laptop' },
  to: { owner: 'bob@example.org', pin: 'nas' },
};
const bytes = Buffer.from('PLEXUS 3.0 192.0.2.1 5000 1');

test('an invitation comes out with its names, an answer without', () => {
  const parcel = { form: 'plain', bytes, names: NAMES } as const;
  expect(openParcel(KEY, 'invite', wrapParcel(KEY, 'invite', parcel))).toEqual(parcel);
  const answer = { form: 'smime', bytes } as const;
  expect(openParcel(KEY, 'accept', wrapParcel(KEY, 'accept', answer))).toEqual(answer);
});

test('nothing of it can be read, and two of the same look different', () => {
  const [one, two] = [0, 1].map(() => wrapParcel(KEY, 'invite', { form: 'plain', bytes, names: NAMES }));
  expect(one!.equals(two!)).toBe(false);
  for (const word of ['PLEXUS', 'alice', 'laptop', 'bob', 'nas']) expect(one!.includes(word)).toBe(false);
});

test('a changed byte, another key, the other kind and a cut box open nothing', () => {
  const box = wrapParcel(KEY, 'invite', { form: 'plain', bytes, names: NAMES });
  for (let i = 0; i < box.length; i++) {
    const changed = Buffer.from(box);
    changed[i]! ^= 1;
    expect(openParcel(KEY, 'invite', changed)).toBeUndefined();
  }
  expect(openParcel(randomBytes(32), 'invite', box)).toBeUndefined();
  expect(openParcel(KEY, 'accept', box)).toBeUndefined();
  for (let end = 0; end < box.length; end += 7) {
    expect(openParcel(KEY, 'invite', box.subarray(0, end))).toBeUndefined();
  }
});

test.each([
  ['../../etc', 'x'],
  ['-rf', 'x'],
  ['', 'x'],
  ['a', 'x'.repeat(65)],
  ['a b', 'x'],
  ['a', 'x\n'],
])('a name that could become syntax (%j/%j) makes no envelope', (owner, pin) => {
  const names = { from: { owner, pin }, to: NAMES.to };
  expect(
    openParcel(KEY, 'invite', wrapParcel(KEY, 'invite', { form: 'smime', bytes, names })),
  ).toBeUndefined();
});

test('a letter without content is none', () => {
  const empty = { form: 'smime', bytes: Buffer.alloc(0) } as const;
  expect(openParcel(KEY, 'accept', wrapParcel(KEY, 'accept', empty))).toBeUndefined();
});
