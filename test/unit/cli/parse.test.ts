import { describe, expect, test } from 'vitest';
import { parseLine } from '../../../src/cli/parse.js';

/** `name=value as written` of every assignment. */
function written(...argv: string[]): string[] {
  return parseLine(argv).assignments.map(({ name, value, source }) => `${name}=${value} as ${source.as}`);
}

describe('ways to write an option', () => {
  test('a value follows "=" or is the next word', () => {
    expect(written('--app-id=a', '--punch-hops', '5')).toEqual([
      'app-id=a as app-id',
      'punch-hops=5 as punch-hops',
    ]);
  });

  test('only the first "=" separates', () => {
    expect(written('--exec-env=A=b=c')).toEqual(['exec-env=A=b=c as exec-env']);
  });

  test('a switch takes no next word, but "=false" overrules a file', () => {
    const line = parseLine(['--accept', 'word', '--once=false']);
    expect(line.operands).toEqual(['word']);
    expect(line.assignments.map(({ value }) => value)).toEqual(['true', 'false']);
  });

  test('a value that begins with dashes but is no option is a value', () => {
    expect(written('--exec-args', '--purpose=export -x')).toEqual([
      'exec-args=--purpose=export -x as exec-args',
    ]);
  });

  test('an option where a value should be means that the value was forgotten', () => {
    expect(() => parseLine(['--app-id', '--accept'])).toThrow(/--app-id has no value/);
    expect(() => parseLine(['--app-id'])).toThrow(/--app-id has no value/);
  });

  test('two dashes end the options', () => {
    expect(parseLine(['id', '--', '--accept', '-x']).operands).toEqual(['--accept', '-x']);
  });

  test('the first word is the command, and decides which options there are', () => {
    expect(parseLine(['id', 'list', '--long']).command).toBe('id');
    expect(() => parseLine(['id', '--accept'])).toThrow(/awl id has no option --accept/);
  });
});

describe('shortened names', () => {
  test('one option that begins like that is meant', () => {
    expect(written('--punch=3')).toEqual(['punch-hops=3 as punch-hops']);
    expect(written('--udp-s=h')).toEqual(['stun-server=h as udp-stun']);
  });

  test('an abbreviation that plexus 3.1 took keeps its meaning beside newer options', () => {
    expect(written('--acc')).toEqual(['accept=true as accept']);
    expect(written('--email-pass=x')).toEqual(['email-password=x as email-password']);
    expect(written('--host=a/b')).toEqual(['host-info=a/b as host-info']);
  });

  test('an ambiguous one lists what it may be', () => {
    try {
      parseLine(['--email-c=x']);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({
        code: 'USAGE_UNKNOWN_OPTION',
        hint: 'write one of --email-cert, --email-ca',
      });
    }
  });

  test('a bare "--=" is no abbreviation of everything', () => {
    expect(() => parseLine(['--=x'])).toThrow(/no option/);
  });
});

describe('unknown options', () => {
  test.each([
    ['--acept', 'did you mean --accept?'],
    ['--stun-sever=x', 'did you mean --stun-server?'],
    ['--email-paswd=x', 'did you mean --email-passwd?'],
    ['--xyzzy', 'awl --help lists the options'],
  ])('%s names the nearest one', (option, hint) => {
    expect(() => parseLine([option])).toThrow(
      expect.objectContaining({ code: 'USAGE_UNKNOWN_OPTION', hint }),
    );
  });

  test('the value of an unknown option is not repeated: it may be a password', () => {
    expect(() => parseLine(['--email-pasword1=hunter22'])).toThrow(/^awl has no option --email-pasword1$/);
  });

  test('a single dash is no option', () => {
    expect(() => parseLine(['-p', '5'])).toThrow(/awl has no option -p/);
    expect(written('-h')).toEqual(['help=true as help']);
  });
});
