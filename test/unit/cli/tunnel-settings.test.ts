import { expect, test } from 'vitest';
import { settingsOf } from '../../support/cli.js';

const BASE = ['--app-id=a', '--stun-server=s', '--host-info=a/b', '--peer-info=c/d', '--file-dir=/tmp/x'];

test('exports and imports need no program, and may be written together or one by one', async () => {
  const { settings } = await settingsOf([
    ...BASE,
    '--export=22',
    '--export',
    'udp:53,unix:/run/x',
    '--import=2222:22',
  ]);
  expect(settings.exec).toBeUndefined();
  expect(settings.tunnel).toEqual({
    exports: [
      { protocol: 'tcp', host: '127.0.0.1', ports: { first: 22, last: 22 } },
      { protocol: 'udp', host: '127.0.0.1', ports: { first: 53, last: 53 } },
      { protocol: 'unix', path: '/run/x' },
    ],
    imports: [
      {
        local: { address: '127.0.0.1', port: 2222 },
        target: { protocol: 'tcp', host: '127.0.0.1', port: 22 },
      },
    ],
    reconnectMs: 600_000,
  });
});

test('0 means that a lost path is the end', async () => {
  const { settings } = await settingsOf([...BASE, '--export=22', '--reconnect-timeout=0']);
  expect(settings.tunnel?.reconnectMs).toBe(0);
});

test('--tunnel=tubus alone says what it lacks, not that a program is missing', async () => {
  await expect(settingsOf([...BASE, '--tunnel=tubus'])).rejects.toMatchObject({
    code: 'USAGE_MISSING',
    message: '--tunnel=tubus needs an --export or an --import',
  });
});

test('without any of them there is no tunnel, and a program is needed', async () => {
  await expect(settingsOf(BASE)).rejects.toThrow(/--exec-command is missing/);
  expect((await settingsOf([...BASE, '--exec-command=true'])).settings.tunnel).toBeUndefined();
});

test('a wrong target is named with where it was written and an example', async () => {
  await expect(settingsOf([...BASE, '--export=22,80x'])).rejects.toMatchObject({
    code: 'USAGE_BAD_VALUE',
    message: expect.stringMatching(/^--export "80x" is not/),
    hint: expect.stringContaining('--export 22'),
  });
  await expect(settingsOf(BASE, { config: 'import=1-2:3' })).rejects.toMatchObject({
    code: 'CONFIG_SYNTAX',
    message: expect.stringContaining('awl.ini:1: import "1-2:3" has ranges'),
  });
  await expect(settingsOf([...BASE, '--stdio=udp:53'])).rejects.toThrow(/names UDP/);
});

test.each([
  [
    ['--export=22', '--exec-command=true'],
    ['--export', '--exec-command'],
  ],
  [
    ['--import=22', '--exec-args=x'],
    ['--import', '--exec-args'],
  ],
  [
    ['--stdio=22', '--accept'],
    ['--stdio', '--accept'],
  ],
  [
    ['--stdio=22', '--json'],
    ['--stdio', '--json'],
  ],
])('%j exclude each other, and the message names both', async (argv, names) => {
  const failed = (async () => settingsOf([...BASE, ...argv]))();
  await expect(failed).rejects.toMatchObject({ code: 'USAGE_CONFLICT' });
  for (const name of names) await expect(failed).rejects.toThrow(name);
});

test('rules and a proxy are read from the command line and from a file', async () => {
  const { settings } = await settingsOf([...BASE, '--socks5=1080'], {
    config: 'export-any=10.0.0.0/8:* a/b:*:*:*,udp:*:53\nexport-except=127.0.0.1:22; 10.0.0.1:*',
  });
  expect(settings.tunnel?.socks5).toEqual({ address: '127.0.0.1', port: 1080 });
  const shown = (settings.tunnel?.rules?.allows ?? []).map(({ source, destination }) => [
    source.id,
    destination.network,
    destination.host,
    destination.port,
  ]);
  expect(shown).toEqual([
    ['*', '*', '10.0.0.0/8', '*'],
    ['a/b', 'udp', '*', '53'],
  ]);
  expect(settings.tunnel?.rules?.blocks).toHaveLength(2);
  const other = await settingsOf([...BASE, '--socks5=[::1]:99']);
  expect(other.settings.tunnel?.socks5).toEqual({ address: '::1', port: 99 });
});

test.each([
  [['--export-any=localhost:22'], /"localhost:22" names the host "localhost"; rules hold addresses/],
  [['--export-any=22'], /is no rule/],
  [['--export-any'], /--export-any has no value/],
  [['--export-except=*'], /--export-any/],
  [['--socks5=example.org:1'], /needs an IP address/],
  [['--socks5=99999'], /port 99999/],
])('%j says what is wrong', async (line, message) => {
  await expect(Promise.resolve().then(() => settingsOf([...BASE, ...line]))).rejects.toThrow(message);
});
