import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  cronEscape,
  cronLine,
  type ServiceSpec,
  shellWord,
  systemdUnit,
  systemdWord,
} from '../../../src/cli/service-text.js';
import { cronCommand, systemdWords, unitValues } from '../../support/service-syntax.js';
import { tempDir } from '../../support/tmp.js';

const SPEC: ServiceSpec = {
  name: 'awl-ssh',
  kind: 'session',
  scope: 'system',
  description: 'awl: accept ssh',
  command: ['/usr/bin/node', '/usr/lib/awl/main.js', '--accept'],
  folder: '/srv/awl',
  writable: [],
  usesHome: false,
  usesTmp: false,
  ownState: true,
  detaches: false,
};

/** Words that lean toward what quoting gets wrong. */
const word = fc.oneof(
  fc.string({
    unit: fc.constantFrom('%', '$', '\\', '"', "'", ' ', ';', '{', '}', 'a', '%%', '\t', '#', '~'),
  }),
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }),
);
const argument = word.filter((text) => !text.includes('\0') && !/\p{Cs}/u.test(text));

describe('a unit runs exactly the command that was asked for', () => {
  test('quotes, percent signs, dollars and control characters come back as they were', () => {
    fc.assert(
      fc.property(fc.array(argument, { minLength: 1, maxLength: 6 }), (args) => {
        const line = ['/bin/x', ...args.map(systemdWord)].join(' ');
        expect(line).not.toMatch(/[\n\r]|\\$/);
        expect(systemdWords(line)).toEqual(['/bin/x', ...args]);
      }),
      { numRuns: 2000 },
    );
  });

  test('no argument can begin another line of the unit', () => {
    fc.assert(
      fc.property(fc.array(argument, { maxLength: 4 }), argument, (args, description) => {
        const text = systemdUnit({ ...SPEC, description, command: ['/usr/bin/node', ...args] });
        const plain = systemdUnit({ ...SPEC, command: ['/usr/bin/node'] });
        const keys = (unit: string) => unit.split('\n').map((line) => line.split('=')[0]);
        expect(keys(text)).toEqual(keys(plain));
        expect(systemdWords(unitValues(text, 'ExecStart')[0] ?? '')).toEqual(['/usr/bin/node', ...args]);
      }),
      { numRuns: 1000 },
    );
  });

  test.each([
    ['--exec-args=%innerip% $HOME', '"--exec-args=%%innerip%% $$HOME"'],
    [';', '";"'],
    ['', '""'],
    ['a"b\\c', '"a\\"b\\\\c"'],
    ['two\nlines', '"two\\nlines"'],
    ['plain=1,2:/x', 'plain=1,2:/x'],
  ])('%j', (text, written) => {
    expect(systemdWord(text)).toBe(written);
  });

  test('a path that a unit cannot hold is refused, not bent', () => {
    for (const folder of ['/a\nExecStartPre=/bin/evil', '/ends in a backslash\\', '/ends in a blank ']) {
      expect(() => systemdUnit({ ...SPEC, folder })).toThrow(/cannot stand in a unit file/);
      expect(() => systemdUnit({ ...SPEC, writable: [folder] })).toThrow(/cannot stand in a unit file/);
    }
    const text = systemdUnit({ ...SPEC, folder: '/100% mine', writable: ['/a b/"c"'] });
    expect(unitValues(text, 'WorkingDirectory')).toEqual(['/100%% mine']);
    expect(unitValues(text, 'ReadWritePaths')).toEqual(['-/run "-/a b/\\"c\\""']);
  });
});

describe('what a unit permits', () => {
  const lines = (spec: Partial<ServiceSpec>) => systemdUnit({ ...SPEC, ...spec }).split('\n');

  test('a session of the machine is fenced in, but its programs can make tunnels', () => {
    const text = lines({});
    for (const line of ['ProtectSystem=strict', 'NoNewPrivileges=yes', 'PrivateTmp=yes', 'Restart=always']) {
      expect(text).toContain(line);
    }
    expect(text).toContain('StateDirectory=awl-ssh');
    expect(text).toContain('Environment=AWL_STATE_DIR=/var/lib/awl-ssh');
    expect(text.join('\n')).not.toMatch(
      /PrivateDevices|MemoryDenyWriteExecute|PrivateNetwork|~[^\n]*CAP_NET/,
    );
  });

  test('a server gets an account of its own, unless it must read what is in a home', () => {
    const server = { kind: 'server', scope: 'system' } as const;
    expect(lines(server)).toContain('DynamicUser=yes');
    expect(lines(server)).toContain('ProtectHome=yes');
    expect(lines({ ...server, usesHome: true })).not.toContain('DynamicUser=yes');
    expect(lines({ ...server, usesHome: true })).toContain('ProtectHome=read-only');
    expect(lines({ ...server, user: 'hub' })).toEqual(expect.arrayContaining(['User=hub']));
    expect(lines({ ...server, user: 'hub' })).not.toContain('DynamicUser=yes');
  });

  test('a folder of /tmp that both sides see stays the common one', () => {
    expect(lines({ usesTmp: true })).toContain('PrivateTmp=no');
  });

  test('programs that were let go outlive awl', () => {
    expect(lines({ detaches: true })).toContain('KillMode=process');
    expect(lines({})).toContain('KillMode=mixed');
  });

  test('a unit of one login needs no namespaces and no account', () => {
    const text = lines({ scope: 'user', user: 'me' });
    expect(text.join('\n')).not.toMatch(/^(?:User|ProtectSystem|PrivateTmp|Wants|StateDirectory)=/m);
    expect(text).toContain('WantedBy=default.target');
  });
});

test.skipIf(spawnSync('systemd-analyze', ['--version']).status !== 0)(
  'systemd itself finds nothing to complain of in the units',
  () => {
    const folder = tempDir();
    const made = [
      SPEC,
      { ...SPEC, name: 'awl-hub', kind: 'server' as const, description: '100 %n $X' },
      { ...SPEC, name: 'awl-mine', scope: 'user' as const },
      { ...SPEC, name: 'awl-odd', writable: ['/srv/a b'], folder: '/', usesTmp: true, user: 'root' },
    ];
    for (const spec of made) {
      const [, ...args] = spec.command;
      const command = [process.execPath, ...args, '%x%', '$Y', 'a "b"; c', '\x01'] as const;
      const file = join(folder, `${spec.name}.service`);
      writeFileSync(file, systemdUnit({ ...spec, command }));
      const mode = spec.scope === 'user' ? ['--user'] : [];
      const { stderr, status } = spawnSync('systemd-analyze', [...mode, '--man=no', 'verify', file], {
        encoding: 'utf8',
      });
      const ours = stderr.split('\n').filter((line) => line.includes(spec.name));
      expect(ours, `${spec.name}: status ${status}`).toEqual([]);
    }
  },
);

describe('a crontab line runs exactly the command that was asked for', () => {
  const line = argument.filter((text) => !/[\n\r]/.test(text));

  test('cron and a shell read back every word', () => {
    const samples = fc.sample(fc.array(line, { minLength: 1, maxLength: 4 }), 300);
    const script = samples.map((args) => {
      const line = ['printf', "'%s\\000'", ...args.map(shellWord)].join(' ');
      return `${cronCommand(cronEscape(line))}; printf '\\001'`;
    });
    const out = execFileSync('sh', { input: script.join('\n'), encoding: 'utf8', maxBuffer: 1e8 });
    const read = out.split('\x01');
    // A sample may hold \x01 itself: compare the whole.
    expect(read.join('\x01')).toBe(samples.map((args) => `${args.join('\0')}\0\x01`).join(''));
  });

  test('no percent sign ends the command, whatever stands before it', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 5 }), (args) => {
        const command = args.map(shellWord).join(' ');
        const read = cronCommand(cronEscape(command));
        // Parting a backslash from the percent sign leaves two quotes with nothing between them.
        expect(read.replaceAll("''", '')).toBe(command.replaceAll("''", ''));
      }),
      { numRuns: 1000 },
    );
  });

  test('each minute, in the folder where relative paths begin', () => {
    expect(cronLine({ command: ['/usr/bin/node', '/a b/main.js', '--x=%p%'], folder: "/it's" })).toBe(
      "* * * * * cd '/it'\\''s' && exec /usr/bin/node '/a b/main.js' '--x=\\%p\\%'\n",
    );
  });

  test('what cron would cut off or read as two lines is refused', () => {
    expect(() => cronLine({ command: ['/usr/bin/node', 'a\nb'] })).toThrow(/cannot stand in a crontab/);
    expect(() => cronLine({ command: ['/usr/bin/node', 'x'.repeat(1000)] })).toThrow(
      /longer than cron reads/,
    );
  });
});
