import { expect, test } from 'vitest';
import { readSshWords } from '../../../../src/cli/meepo/ssh.js';
import { asciiTable } from '../../../../src/cli/meepo/table.js';
import { findWords, parseWords } from '../../../../src/cli/meepo/words.js';
import { meepoFixture } from '../../../support/meepo-vectors.js';

const parse = (line: string) => {
  const found = findWords(line.split(' '));
  if (!found) throw new Error('no command');
  const { words, flags } = parseWords(found.words, found.rest);
  return { path: found.words.path, words, flags: Object.fromEntries(flags) };
};

test.each([
  ['serve -f meepo.pem', { path: 'serve', words: [], flags: { filename: 'meepo.pem' } }],
  ['summon -i k -d=false', { path: 'serve', words: [], flags: { 'identity-file': 'k', daemon: 'false' } }],
  ['deny', { path: 'shutdown', words: [], flags: {} }],
  ['t n ID', { path: 'transport new', words: ['ID'], flags: {} }],
  ['tp ls -H http://h', { path: 'teleportation list', words: [], flags: { host: 'http://h' } }],
  [
    'teleport -nweb --local-address=127.0.0.1:1 ID :80 -s x',
    {
      path: 'teleport',
      words: ['ID', ':80'],
      flags: { name: 'web', 'local-address': '127.0.0.1:1', secret: 'x' },
    },
  ],
  ['config set a=1 b=2', { path: 'config set', words: ['a=1', 'b=2'], flags: {} }],
  ['ssh -- -p 22 u@i', { path: 'ssh', words: ['-p', '22', 'u@i'], flags: {} }],
])('%s is read as the real one reads it', (line, expected) => {
  expect(parse(line)).toEqual(expected);
});

test.each([
  ['teleport onlyone', 'accepts 2 arg(s), received 1'],
  ['nosuchcmd', 'unknown command "nosuchcmd" for "meepo"'],
  ['teleport --nosuch', 'unknown flag: --nosuch'],
  ['ping -z', "unknown shorthand flag: 'z' in -z"],
  ['serve -c', 'flag needs an argument: -c'],
  ['serve -d=maybe', 'invalid argument "maybe"'],
])('%s is an error in the real one’s words', (line, message) => {
  expect(() => parse(line)).toThrow(message);
});

test('groups and nothing at all want help', () => {
  for (const words of [[], ['transport'], ['config', '--help'], ['--help'], ['help']]) {
    expect(findWords(words)).toBeUndefined();
  }
});

test('tables are the real one’s, cell by cell', () => {
  const session = meepoFixture('cli-session.txt');
  const tables = [...session.matchAll(/(?:^[+|].*\n)+/gm)].map(([text]) => text);
  expect(tables.length).toBeGreaterThan(8);
  for (const text of tables) {
    const [header = [], ...rows] = text
      .split('\n')
      .filter((line) => line.startsWith('|'))
      .map((line) =>
        line
          .slice(1, -1)
          .split('|')
          .map((cell) => cell.trim()),
      );
    const typed = rows.map((row) => row.map((cell, i) => (header[i] === 'CHANNELS' ? Number(cell) : cell)));
    expect(asciiTable(header, typed)).toBe(text);
  }
});

test('ssh keeps every argument, the one before the destination too', () => {
  expect(readSshWords(['-p', '2222', '-v', 'user@id'], undefined, undefined)).toEqual({
    user: 'user',
    id: 'id',
    port: '2222',
    before: ['-v'],
    after: [],
  });
  expect(readSshWords(['-i', 'key', '-L1:h:2', '-p=7', 'id', 'ls', '-p', '1'], undefined, undefined)).toEqual(
    {
      id: 'id',
      port: '7',
      before: ['-i', 'key', '-L1:h:2'],
      after: ['ls', '-p', '1'],
    },
  );
  expect(() => readSshWords(['-v'], undefined, undefined)).toThrow('require destination');
});
