import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isAwlError } from '../../src/errors.js';
import {
  formatName,
  isComplete,
  isNamePart,
  matchesName,
  parseName,
  parsePartialName,
} from '../../src/identity/names.js';

const runs = { numRuns: 5_000 };
const LETTERS = [...'ABCXYZabcxyz0189._@+-'];
const part = fc
  .string({ unit: fc.constantFrom(...LETTERS), minLength: 1, maxLength: 64 })
  .filter((text) => !/^[.-]/.test(text));
// Text that is nearly a name: allowed letters with a few that are not.
const nearly = fc.string({
  unit: fc.constantFrom(...LETTERS, '/', ' ', '\\', '\n', '\0', '%', '$', 'é', '\u202e'),
  maxLength: 70,
});
const anything = fc.oneof(
  nearly,
  fc.string({ unit: 'binary', maxLength: 140 }),
  fc.string({ maxLength: 300 }),
);

test('every well-formed owner/pin is read and written back unchanged', () => {
  fc.assert(
    fc.property(part, part, (owner, pin) => {
      const name = parseName(`${owner}/${pin}`);
      expect(name).toEqual({ owner, pin });
      expect(formatName(name)).toBe(`${owner}/${pin}`);
      expect(matchesName(name, parsePartialName(`${owner}/`))).toBe(true);
      expect(matchesName(name, parsePartialName(`/${pin}`))).toBe(true);
    }),
    runs,
  );
});

test('any text is either a safe name or an IDENTITY_NAME error, never something else', () => {
  fc.assert(
    fc.property(anything, (text) => {
      try {
        const name = parseName(text);
        expect(isComplete(name)).toBe(true);
        for (const piece of [name.owner, name.pin]) expect(piece).toMatch(/^(?![.-])[A-Za-z0-9._@+-]{1,64}$/);
        expect(formatName(name)).toBe(text);
      } catch (error) {
        if (!isAwlError(error, 'IDENTITY_NAME')) throw error;
        expect(error.hint).toBeTruthy();
      }
    }),
    runs,
  );
});

test('no part that is allowed means anything to a path, a shell, a mail header or a command line', () => {
  fc.assert(
    fc.property(anything, (text) => {
      fc.pre(isNamePart(text));
      expect(text).not.toMatch(/[/\\\s"'`$&|;<>(){}*?!#~%:,=^[\]]|^[.-]/);
      expect(encodeURIComponent(text).length).toBeLessThanOrEqual(192);
    }),
    { numRuns: 2_000 },
  );
});
