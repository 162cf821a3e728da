import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseConfig, readConfig } from '../../src/cli/config.js';
import { callAwl } from '../support/cli.js';

const folder = mkdtempSync(join(tmpdir(), 'awl-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string | Uint8Array, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

const pairs = (text: string) =>
  parseConfig(text, 'f').assignments.map(({ name, value }) => `${name}=${value}`);

describe('what plexus reads is read', () => {
  test('comments, blanks, switches, older names, values with "="', () => {
    const text = '# head\n\n  app-id = a b  # tail\naccept=true\nudp-stun=h\nexec-args=--x=%inner%\n';
    expect(pairs(text)).toEqual(['app-id=a b', 'accept=true', 'stun-server=h', 'exec-args=--x=%inner%']);
  });

  test('a byte order mark and CR LF do no harm', () => {
    expect(pairs('\uFEFFapp-id=a\r\naccept=true\r\n')).toEqual(['app-id=a', 'accept=true']);
    expect(readConfig(file('bom', '\uFEFFapp-id=a\r\n'), 'session').assignments[0]?.value).toBe('a');
  });

  test('a password cut at # is told, and \\# is the character', () => {
    const cut = parseConfig('email-password=ab#cd', 'f');
    expect(cut.assignments[0]?.value).toBe('ab');
    expect(cut.warnings).toEqual([expect.stringContaining('f:1: everything from # on is a comment')]);
    expect(cut.warnings.join()).not.toContain('cd');
    expect(parseConfig('email-password=ab\\#cd # x', 'f')).toMatchObject({
      assignments: [{ value: 'ab#cd' }],
      warnings: [],
    });
  });

  test('one file serves several commands', () => {
    expect(
      parseConfig('accept=true\nstun-server=h', 'f', 'doctor').assignments.map(({ name }) => name),
    ).toEqual(['stun-server']);
  });
});

describe('what is wrong is named with its line', () => {
  test.each([
    ['app-id', 'CONFIG_SYNTAX', /^f:1: is not name=value$/],
    ['=x', 'CONFIG_SYNTAX', /^f:1: is not name=value$/],
    ['app-id=a\n\nstun-sever=b', 'CONFIG_UNKNOWN_NAME', /^f:3: there is no option "stun-sever"$/],
    ['[main]\napp-id=a', 'CONFIG_UNKNOWN_NAME', /^f:2: there is no option "main.app-id"$/],
    ['config=other', 'CONFIG_SYNTAX', /^f:1: config works on the command line only$/],
    ['help=true', 'CONFIG_SYNTAX', /^f:1: help works/],
    ['app=a', 'CONFIG_UNKNOWN_NAME', /no option "app"/],
    ['App-Id=a', 'CONFIG_UNKNOWN_NAME', /no option "App-Id"/],
    ['\u001b[31m=a', 'CONFIG_UNKNOWN_NAME', /^f:1: there is no option "\\x1b\[31m"$/],
  ])('%j', (text, code, message) => {
    expect(() => parseConfig(text, 'f')).toThrow(expect.objectContaining({ code, exitCode: 78 }));
    expect(() => parseConfig(text, 'f')).toThrow(message);
  });

  test('an unknown name suggests the nearest; a section says what it does', () => {
    const hint = (text: string) => {
      try {
        parseConfig(text, 'f');
      } catch (error) {
        return (error as { hint?: string }).hint;
      }
      return undefined;
    };
    expect(hint('stun-sever=b')).toBe('did you mean stun-server?');
    expect(hint('[main]\napp-id=a')).toContain('[main]');
  });

  test('the value of an unknown name is not repeated: it may be a password', () => {
    expect(() => parseConfig('email-pasword=hunter22', 'f')).toThrow(/^(?!.*hunter22)/);
  });
});

describe('files that are none', () => {
  test.each([
    ['a folder', () => folder],
    ['a device without end', () => '/dev/zero'],
    ['nothing there', () => join(folder, 'absent')],
    ['257 KiB', () => file('big', '#'.repeat(257 * 1024))],
    ['no UTF-8', () => file('latin', Buffer.from('app-id=\xe4\n', 'latin1'))],
  ])('%s', (_name, path) => {
    expect(() => readConfig(path(), 'session')).toThrow(
      expect.objectContaining({ code: 'CONFIG_UNREADABLE', exitCode: 78 }),
    );
  });

  test('a FIFO that nobody writes to does not hang the start', () => {
    const path = join(folder, 'fifo');
    execFileSync('mkfifo', [path]);
    expect(() => readConfig(path, 'session')).toThrow(/it is no regular file/);
  });

  test('a password that others can read gets a warning, a private file none', () => {
    const text = 'email-passwd=hunter22\n';
    expect(readConfig(file('open', text, 0o644), 'session').warnings).toEqual([
      expect.stringContaining('chmod 600'),
    ]);
    expect(readConfig(file('private', text, 0o600), 'session').warnings).toEqual([]);
    expect(readConfig(file('harmless', 'app-id=a', 0o644), 'session').warnings).toEqual([]);
  });
});

describe('as a whole call', () => {
  test('exit status 78, two lines, no stack trace', async () => {
    const { status, err, out } = await callAwl([`--config=${file('bad', 'app-id=a\nnonsense\n')}`]);
    expect(status).toBe(78);
    expect(out).toBe('');
    expect(err).toBe(
      'awl: CONFIG_SYNTAX: bad:2: is not name=value\n  hint: write one name=value a line, # before a comment\n',
    );
  });

  test('with --json the failure is one more line on standard output', async () => {
    const { out } = await callAwl(['--json', '--config=/nonexistent']);
    expect(JSON.parse(out)).toMatchObject({ event: 'failed', code: 'CONFIG_UNREADABLE' });
  });
});
