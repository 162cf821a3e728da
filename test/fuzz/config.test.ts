import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/cli/config.js';
import { EndpointProblem, parseLocal, parseServer } from '../../src/cli/endpoints.js';
import { mergeLevels } from '../../src/cli/merge.js';
import { OPTIONS } from '../../src/cli/options.js';
import { parseLine } from '../../src/cli/parse.js';
import { AwlError } from '../../src/errors.js';

const RUNS = { numRuns: 1500 };

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.string({
    unit: fc.constantFrom(
      '=',
      '#',
      '\\',
      '[',
      ']',
      '\n',
      '\r',
      ' ',
      '-',
      'a',
      ':',
      '/',
      '%',
      '"',
      '\0',
      '\uFEFF',
    ),
  }),
);
const anyName = fc.constantFrom(
  ...OPTIONS.flatMap(({ name, aliases }) => [name as string, ...(aliases ?? [])]),
);
const nearlyName = fc.oneof(
  anyName,
  anyName.map((name) => name.slice(0, -1)),
  anyText,
);

/** Runs `act`; what it throws must be an error for people, on one code of the table. */
function onlyKnownErrors(act: () => void): void {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(AwlError);
    expect([64, 77, 78]).toContain((error as AwlError).exitCode);
  }
}

describe('configuration files', () => {
  test('no text makes the reader crash', () => {
    const lines = fc.array(
      fc.oneof(
        anyText,
        fc.tuple(nearlyName, anyText).map(([a, b]) => `${a}=${b}`),
      ),
    );
    fc.assert(
      fc.property(lines, fc.constantFrom('\n', '\r\n'), (text, end) =>
        onlyKnownErrors(() => {
          mergeLevels([parseConfig(text.join(end), 'f').assignments]);
        }),
      ),
      RUNS,
    );
  });

  test('what is written is read back, whatever the value holds', () => {
    const value = fc.string({ unit: 'binary', maxLength: 100 }).filter((text) => !/[\n\r\\#]/.test(text));
    const texts = fc.constantFrom('app-id', 'exec-args', 'email-login', 'email-password');
    fc.assert(
      fc.property(texts, value, (name, text) => {
        const [read] = parseConfig(`${name}=${text}`, 'f').assignments;
        expect(read).toMatchObject({ name, value: text.trim() });
      }),
      RUNS,
    );
  });
});

describe('command lines', () => {
  test('no words make the parser crash', () => {
    const word = fc.oneof(
      anyText,
      nearlyName.map((name) => `--${name}`),
      fc.tuple(nearlyName, anyText).map(([name, text]) => `--${name}=${text}`),
      fc.constantFrom('id', 'doctor', '--', '-', '-h', '--accept'),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 8 }), (argv) =>
        onlyKnownErrors(() => {
          mergeLevels([parseLine(argv).assignments]);
        }),
      ),
      RUNS,
    );
  });

  test('"--name=value" carries any value unchanged', () => {
    fc.assert(
      fc.property(anyName, anyText, (name, value) => {
        const command =
          OPTIONS.find((o) => o.name === name || o.aliases?.includes(name))?.commands[0] ?? 'session';
        const argv = [...(command === 'session' ? [] : [command]), `--${name}=${value}`];
        expect(parseLine(argv).assignments[0]).toMatchObject({ value, source: { as: name } });
      }),
      RUNS,
    );
  });
});

describe('endpoints', () => {
  test('any text is an endpoint or a problem in words', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        for (const parse of [parseServer, parseLocal]) {
          try {
            const { port } = parse(text, 0);
            expect(port).toBeGreaterThanOrEqual(0);
            expect(port).toBeLessThanOrEqual(65_535);
          } catch (error) {
            expect(error).toBeInstanceOf(EndpointProblem);
          }
        }
      }),
      RUNS,
    );
  });

  test('every host and port comes back, IPv6 in brackets', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.domain(),
          fc.ipV4(),
          fc.ipV6().map((ip) => `[${ip}]`),
        ),
        fc.integer({ min: 1, max: 65_535 }),
        (host, port) => {
          expect(parseServer(`${host}:${port}`, 1)).toEqual({ host: host.replace(/^\[(.*)\]$/, '$1'), port });
          expect(parseServer(host, 7).port).toBe(7);
        },
      ),
      RUNS,
    );
  });
});
