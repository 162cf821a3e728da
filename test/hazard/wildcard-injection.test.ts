import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isAwlError } from '../../src/errors.js';
import { isNamePart } from '../../src/identity/names.js';
import { planPayload } from '../../src/launch/exec.js';
import { tokenize } from '../../src/launch/tokenize.js';
import { substitute, type WildcardValues } from '../../src/launch/wildcards.js';
import { PASSAGE } from '../support/passage.js';

/** plexus 3.1.4 turns this into new arguments (RELIABILITY F7: sequential replacement, then splitting). */
const ARGS = `--name %peerpin% "--of=%peermail%, %hostpin%" -- %secret% '%innerip%:%innerport%' plain "two words"`;
const TOKENS = tokenize(ARGS);
const UNTOUCHED = new Map([
  [0, '--name'],
  [3, '--'],
  [6, 'plain'],
  [7, 'two words'],
]);

const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc
    .array(
      fc.constantFrom(
        ' ',
        '\t',
        '\n',
        '\0',
        '"',
        "'",
        '\\',
        '$&',
        '$1',
        '$$',
        '`id`',
        '$(id)',
        ';',
        '|',
        '>',
        '--up=/tmp/evil',
        '-',
        '..',
        '/',
        '%secret%',
        '%peeremail%',
        '%',
        'é',
        '\u202e',
        'x',
      ),
      { maxLength: 8 },
    )
    .map((parts) => parts.join('')),
);

function withNames(owner: string, pin: string): WildcardValues {
  return { ...PASSAGE, peerName: { owner, pin }, hostName: { owner: pin, pin: owner } };
}

describe('names of peers never become syntax', () => {
  test('100 000 hostile names change neither the number of arguments nor any other argument', () => {
    fc.assert(
      fc.property(hostile, hostile, (owner, pin) => {
        const values = withNames(owner, pin);
        const args = TOKENS.map((token) => substitute(token, values));
        if (args.length !== TOKENS.length) return false;
        for (const [index, text] of UNTOUCHED) if (args[index] !== text) return false;
        return (
          args[1] === pin && args[2] === `--of=${owner}, ${owner}` && args[4] === PASSAGE.secret.toString()
        );
      }),
      { numRuns: 100_000 },
    );
  });

  test('a name outside the charset starts nothing', () => {
    fc.assert(
      fc.property(hostile, hostile, (owner, pin) => {
        const allowed = isNamePart(owner) && isNamePart(pin);
        try {
          planPayload({ command: 'true', args: ARGS }, withNames(owner, pin), {});
          return allowed;
        } catch (error) {
          return !allowed && isAwlError(error, 'IDENTITY_NAME');
        }
      }),
      { numRuns: 10_000 },
    );
  });

  test('a name in a folder or log path stays within its own path part', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9_@+][A-Za-z0-9._@+-]{0,63}$/);
    fc.assert(
      fc.property(name, name, (owner, pin) => {
        const spec = { command: 'true', args: '', pwd: '/srv/%peermail%/%peerpin%', log: '%hostid%.log' };
        const plan = planPayload(spec, withNames(owner, pin), {});
        const parts = plan.pwd?.split('/') ?? [];
        return (
          parts.length === 4 &&
          !parts.some((part) => /^\.*$/.test(part) && part !== '') &&
          plan.log?.split('/').length === 2
        );
      }),
      { numRuns: 5_000 },
    );
  });
});

test('the example that injects an argument into plexus 3.1.4 stays one argument', () => {
  const values = withNames('$& mallory@b', 'x %peeremail% --up=/tmp/evil');
  expect(tokenize('--name %peerpin%').map((token) => substitute(token, values))).toEqual([
    '--name',
    'x %peeremail% --up=/tmp/evil',
  ]);
});
