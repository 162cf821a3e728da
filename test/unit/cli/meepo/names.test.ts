import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { NAME_ACTIONS, readNames } from '../../../../src/cli/meepo/names.js';
import { meepoKeys } from '../../../../src/wire/meepo/keys.js';
import { collectingIo } from '../../../support/cli.js';
import { tempDir } from '../../../support/tmp.js';

function setUp() {
  const folder = tempDir();
  const io = collectingIo({ AWL_MEEPO_DIR: folder });
  const act = (action: string, ...words: string[]) =>
    NAME_ACTIONS[action]?.({ words, io } as never) ?? Promise.reject(new Error('no such action'));
  return { io, act, file: join(folder, 'names.json') };
}

test('names are added, listed and removed', async () => {
  const { act } = setUp();
  const { id } = meepoKeys();
  expect(await act('name list')).toBe('');
  expect(await act('name add', 'alice', id.toUpperCase())).toBe(`alice.mpo leads to ${id}\n`);
  expect(await act('name list')).toBe(`alice\t${id}\n`);
  expect(await act('name remove', 'alice')).toBe('');
  expect(await act('name list')).toBe('');
});

test.each([
  ['cut short', '{"alice": "66'],
  ['a list', '[]'],
  ['a name that is none', '{"Alice!": "x"}'],
  ['no MeepoID', '{"alice": "x"}'],
])('a file of names that is wrong (%s) is named and not written over', async (_, text) => {
  const { io, act, file } = setUp();
  writeFileSync(file, text);
  expect(() => readNames(io.env)).toThrow(file);
  await expect(act('name add', 'bob', meepoKeys().id)).rejects.toMatchObject({ code: 'CONFIG_SYNTAX' });
  expect(readFileSync(file, 'utf8')).toBe(text);
});
