import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../../src/cli/commands.js';
import { report } from '../../../src/cli/run.js';
import { AwlError } from '../../../src/errors.js';
import { callAwl, collectingIo } from '../../support/cli.js';

describe('help and version', () => {
  test('--help is a result: standard output, status 0 (plexus: 255)', async () => {
    const { status, out, err } = await callAwl(['--help']);
    expect(status).toBe(0);
    expect(err).toBe('');
    expect(out).toMatch(/^Usage: awl --accept/);
    expect(out).toContain('--stun-server=HOST[:PORT]');
  });

  test('no line is wider than the terminal of 80 columns, except one word', async () => {
    for (const { name } of COMMANDS) {
      const { out } = await callAwl(name === 'session' ? ['--help'] : [name, '--help']);
      const wide = out.split('\n').filter((line) => line.length > 80);
      expect(wide.filter((line) => line.trim().includes(' '))).toEqual([]);
    }
  });

  test('three ways to the help of a command', async () => {
    const { out } = await callAwl(['id', '--help']);
    expect(out).toContain('awl id init OWNER/PIN');
    expect((await callAwl(['help', 'id'])).out).toBe(out);
    expect((await callAwl(['id', 'list', '-h'])).out).toBe(out);
  });

  test('older names stay out of help', async () => {
    const { out } = await callAwl(['--help']);
    expect(out).not.toContain('rico');
    expect(out).not.toContain('email-passwd');
  });

  test('--version', async () => {
    expect((await callAwl(['--version'])).out).toMatch(/^awl \d+\.\d+\.\d+/);
  });
});

describe('calls that cannot be meant', () => {
  test.each([
    [['docter'], 'awl has no command "docter"', 'did you mean awl doctor?'],
    [['help', 'nonsense'], 'awl has no command "nonsense"', 'awl --help lists the commands'],
    [['session'], 'awl has no command "session"', 'awl --help lists the commands'],
    [['--json', 'doctor'], 'the command "doctor" stands behind options', 'write it first: awl doctor ...'],
    [['--app-id=a', 'b'], '"b" is neither an option nor the value of one', /quotes/],
    [['\u001b[2J'], 'awl has no command "\\x1b[2J"', /--help/],
  ])('%j', async (argv, message, hint) => {
    const { status, err } = await callAwl(argv);
    expect(status).toBe(64);
    const [first, second] = err.split('\n');
    expect(first).toBe(`awl: USAGE_UNKNOWN_COMMAND: ${message}`);
    if (typeof hint === 'string') expect(second).toBe(`  hint: ${hint}`);
    else expect(second).toMatch(hint);
  });

  test('awl alone says what is missing and where help is', async () => {
    const { status, err } = await callAwl([]);
    expect(status).toBe(64);
    expect(err).toContain('awl --help');
  });

  test('a log file that cannot be opened is named', async () => {
    const { status, err } = await callAwl(['--log-file=/nonexistent/x', '--app-id=a']);
    expect(status).toBe(73);
    expect(err).toMatch(/^awl: FILE_WRITE: cannot write --log-file \/nonexistent\/x/);
  });
});

describe('errors', () => {
  test('two lines, no stack trace, no control characters', () => {
    const io = collectingIo();
    const status = report(new AwlError('PEER_NO_ANSWER', 'no\nanswer', { hint: 'wait' }), [], io);
    expect(status).toBe(68);
    expect(io.err).toBe('awl: PEER_NO_ANSWER: no\\x0aanswer\n  hint: wait\n');
  });

  test('a mistake of ours asks for a report and ends with 70', () => {
    const io = collectingIo();
    expect(report(new TypeError('x is undefined'), [], io)).toBe(70);
    expect(io.err).toMatch(/^awl: INTERNAL: unexpected: x is undefined\n {2}hint: .*please report/);
    expect(io.err).not.toContain('    at ');
  });

  test.each([[['--log-level=trace']], [['--log-level', 'trace']]])('%j shows the stack', (argv) => {
    const io = collectingIo();
    report(new TypeError('x'), argv, io);
    expect(io.err).toContain('    at ');
  });
});

describe('commands', () => {
  test('each one loads', async () => {
    for (const command of COMMANDS) expect(await command.load()).toBeTypeOf('function');
  });

  test('completion without or with an unknown shell', async () => {
    expect((await callAwl(['completion'])).err).toContain('USAGE_MISSING');
    expect((await callAwl(['completion', 'csh'])).err).toContain('no script for "csh"');
    expect((await callAwl(['man', 'csh'])).status).toBe(64);
  });

  test('awl id gets its words and its own options', async () => {
    const { err, status } = await callAwl(['id', 'nonsense']);
    expect(status).toBe(64);
    expect(err).toContain('awl id has no "nonsense"');
  });

  test('awl id without --bits or --out gets neither: each form refuses what it does not know', async () => {
    const { status, out } = await callAwl(['id', 'list', '--app-repo=/nonexistent']);
    expect(status).toBe(0);
    expect(out).toContain('no identity');
    expect((await callAwl(['id', 'list', '--replace'])).status).toBe(64);
    expect((await callAwl(['id', 'init', 'a/b', '--bits=512'])).err).toContain('--bits cannot be "512"');
  });

  test('awl doctor without a server is a usage error', async () => {
    expect((await callAwl(['doctor'])).status).toBe(64);
  });
});
