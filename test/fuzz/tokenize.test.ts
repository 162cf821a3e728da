import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isAwlError } from '../../src/errors.js';
import { tokenize } from '../../src/launch/tokenize.js';
import { substitute } from '../../src/launch/wildcards.js';
import { PASSAGE } from '../support/passage.js';

const piece = fc.constantFrom(
  ' ',
  '\t',
  '\\',
  '"',
  "'",
  '\\n',
  '\\\\',
  '%',
  '%secret%',
  'a',
  '\n',
  '\0',
  'é',
  '$x',
);
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(piece, { maxLength: 20 }).map((parts) => parts.join('')),
);

test('any text gives tokens or a named error, never another exception', () => {
  fc.assert(
    fc.property(text, (input) => {
      try {
        return tokenize(input).every((token) => token !== '' && !token.includes('\0'));
      } catch (error) {
        return isAwlError(error, 'USAGE_BAD_VALUE') && error.message.startsWith('--exec-args');
      }
    }),
    { numRuns: 20_000 },
  );
});

test('tokens that were quoted come back as they were', () => {
  const token = fc.string({ unit: 'binary', minLength: 1 }).filter((t) => !t.includes('\0'));
  const quote = (t: string, q: string) => `${q}${t.replace(/[\\'"]/g, '\\$&')}${q}`;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(token, fc.constantFrom('"', "'"))),
      fc.constantFrom(' ', '\t', ' \t '),
      (list, blank) => {
        expect(tokenize(list.map(([t, q]) => quote(t, q)).join(blank))).toEqual(list.map(([t]) => t));
      },
    ),
    { numRuns: 5_000 },
  );
});

test('tokens that were escaped character by character come back as they were', () => {
  const token = fc.stringMatching(/^[a-z \t'"\\]+$/);
  fc.assert(
    fc.property(fc.array(token), (list) => {
      expect(tokenize(list.map((t) => t.replace(/[ \t'"\\]/g, '\\$&')).join(' '))).toEqual(list);
    }),
    { numRuns: 5_000 },
  );
});

test('every wildcard is replaced exactly once, wherever it stands', () => {
  const value = fc.constantFrom(
    ...['innerip', 'peerport', 'secret', 'hostpin', 'alien', 'qos'].map((n) => `%${n}%`),
  );
  const other = fc.string({ unit: 'binary' }).map((t) => t.replaceAll('%', ''));
  fc.assert(
    fc.property(fc.array(fc.oneof(value, other, fc.constantFrom('%%%', '%x %', '%no-such%'))), (parts) => {
      const expected = parts.map((part) => substitute(part, PASSAGE));
      expect(substitute(parts.join(''), PASSAGE)).toBe(expected.join(''));
    }),
    { numRuns: 5_000 },
  );
});
