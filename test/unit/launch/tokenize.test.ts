import { describe, expect, test } from 'vitest';
import { isAwlError } from '../../../src/errors.js';
import { tokenize } from '../../../src/launch/tokenize.js';

describe('tokenize', () => {
  test.each<[string, string[]]>([
    ['', []],
    [' \t ', []],
    ['a b\tc', ['a', 'b', 'c']],
    ['  a  b  ', ['a', 'b']],
    ['"a b" c', ['a b', 'c']],
    ["'a\tb'c", ['a\tbc']],
    [`"it's" 'say "x"'`, ["it's", 'say "x"']],
    ['a\\ b', ['a b']],
    ['"a\\"b"', ['a"b']],
    ["'a\\'b'", ["a'b"]],
    ['a\\\\b', ['a\\b']],
    ['a\\nb', ['a\nb']],
    [`'' "" a`, ['a']],
    ['$HOME;ls|x>y&`z`*', ['$HOME;ls|x>y&`z`*']],
    ['a\nb', ['a\nb']],
    ['--x=%secret% "%peerpin% y"', ['--x=%secret%', '%peerpin% y']],
  ])('%j gives %j', (text, tokens) => {
    expect(tokenize(text)).toEqual(tokens);
  });

  test.each<[string, RegExp]>([
    ['"open', /--exec-args has an open "/],
    ["a 'b", /open '/],
    ['a\\', /ends with a lone backslash/],
    ['\\d+', /unknown escape \\d/],
    ['a\0b', /NUL/],
  ])('%j is an error that names the option', (text, message) => {
    let error: unknown;
    try {
      tokenize(text);
    } catch (thrown) {
      error = thrown;
    }
    expect(isAwlError(error, 'USAGE_BAD_VALUE')).toBe(true);
    expect((error as Error).message).toMatch(message);
    expect((error as { hint?: string }).hint).toBeTruthy();
  });

  test('the error names the option it was told', () => {
    expect(() => tokenize('"', '--other')).toThrow(/^--other /);
  });
});
