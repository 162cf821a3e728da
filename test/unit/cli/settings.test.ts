import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { optionNamed } from '../../../src/cli/options.js';
import { createLogger } from '../../../src/log.js';
import { RENDEZVOUS_NAMES } from '../../../src/rendezvous/registry.js';
import { settingsOf } from '../../support/cli.js';

const folder = mkdtempSync(join(tmpdir(), 'awl-settings-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

const BASE = ['--app-id=a', '--stun-server=s', '--exec-command=true', '--host-info=a/b', '--peer-info=c/d'];
const MAIL = [...BASE, '--email-smtps=s', '--email-imaps=i', '--email-login=l'];

/** The settings of the mail account that a call comes to. */
async function account(argv: string[], env: Record<string, string> = {}) {
  const { settings, warnings } = await settingsOf(argv, { env });
  const [rendezvous] = [settings.rendezvous].flat();
  if (rendezvous?.name !== 'email') throw new Error('not by mail');
  return { ...rendezvous.email, warnings };
}

describe('what a session must have', () => {
  test('everything missing is named at once', async () => {
    await expect(settingsOf([])).rejects.toThrow(/^--app-id, --stun-server, --exec-command are missing$/);
    await expect(settingsOf(['--app-id=a', '--exec-cmd=x'])).rejects.toThrow(/^--stun-server is missing$/);
  });

  test('four or none: the missing ones are named, wherever the others stand', async () => {
    await expect(settingsOf([...BASE, '--email-smtps=s'], { config: 'email-login=l' })).rejects.toMatchObject(
      {
        code: 'USAGE_MISSING',
        message: 'the e-mail rendezvous lacks --email-imaps, --email-password-file',
      },
    );
    await expect(settingsOf([...BASE, '--email-login=l', '--email-password=p'])).rejects.toThrow(
      /the e-mail rendezvous lacks --email-smtps, --email-imaps$/,
    );
    const { rendezvous } = (
      await settingsOf([...BASE, '--email-smtps=s'], {
        config: 'email-login=l\nemail-imaps=i',
        env: { AWL_EMAIL_PASSWORD: 'password' },
      })
    ).settings;
    expect(rendezvous).toMatchObject([{ name: 'email', email: { login: 'l', password: 'password' } }]);
  });

  test('a password in the environment alone does not choose mail', async () => {
    const { settings } = await settingsOf([...BASE, '--file-dir=/tmp/x'], {
      env: { AWL_EMAIL_PASSWORD: 'password' },
    });
    expect(settings.rendezvous).toEqual([{ name: 'file', folder: '/tmp/x' }]);
  });

  test.each([['a\nb'], [' a'], ['ä'], ['x'.repeat(129)]])(
    'application name %j cannot be a subject',
    async (app) => {
      await expect(settingsOf([`--app-id=${app}`, ...BASE.slice(1), '--file-dir=d'])).rejects.toThrow(
        /--app-id cannot/,
      );
    },
  );

  test('a stray quote in the arguments shows now, not when the peer has connected', async () => {
    await expect(settingsOf([...BASE, '--file-dir=d', '--exec-args="open'])).rejects.toThrow(
      /--exec-args has an open "/,
    );
  });

  test('an environment pair that is none is named without its value', async () => {
    await expect(settingsOf([...BASE, '--file-dir=d', '--exec-env=1BAD=hunter22'])).rejects.toThrow(
      /^--exec-env "1BAD" is not KEY=VALUE$/,
    );
  });

  test('own options arrive', async () => {
    const { settings } = await settingsOf([
      ...BASE,
      '--accept',
      '--once',
      '--accept-timeout=1.5',
      '--file-dir=~/box',
      '--allow-plaintext',
      '--allow-private',
      '--allow-loopback',
      '--cipher=des3',
      '--state-dir=/s',
      '--exec-detach',
      '--exec-env=A=1',
      '--exec-env=B=2',
    ]);
    expect(settings).toMatchObject({
      once: true,
      acceptTimeoutMs: 1500,
      allowPlaintext: true,
      allowPrivate: true,
      allowLoopback: true,
      cipher: 'des3',
      stateDir: '/s',
      exec: { detach: true, env: ['A=1', 'B=2'] },
    });
    expect(settings.rendezvous).toMatchObject([
      { name: 'file', folder: expect.stringMatching(/^\/.*\/box$/) },
    ]);
  });

  test('an empty --exec-args means no arguments', async () => {
    expect((await settingsOf([...BASE, '--file-dir=d', '--exec-args='])).settings.exec?.args).toBe('');
  });
});

test('every rendezvous of the registry can be typed', () => {
  expect([...(optionNamed('rendezvous').choices ?? [])].sort()).toEqual([...RENDEZVOUS_NAMES].sort());
});

describe('which rendezvous', () => {
  const chosen = async (...argv: string[]) => (await settingsOf([...BASE, ...argv])).settings.rendezvous;
  const node = (host: string, port: number) => ({ bootstrap: [{ host, port }] });

  test('nothing typed: HyperDHT and its public nodes, with no account and no server', async () => {
    expect(await chosen()).toEqual([{ name: 'hyperdht', hyperdht: {} }]);
  });

  test('a port of --dht-bootstrap tells which DHT is meant, and where it does not both are used', async () => {
    expect(await chosen('--dht-bootstrap=h:4222')).toMatchObject([
      { name: 'opendht', opendht: node('h', 4222) },
    ]);
    expect(await chosen('--dht-bootstrap=h:49737')).toEqual([
      { name: 'hyperdht', hyperdht: node('h', 49737) },
    ]);
    for (const [typed, hyper, open] of [
      ['h', 49737, 4222],
      ['h:5000', 5000, 5000],
    ] as const) {
      expect(await chosen(`--dht-bootstrap=${typed}`)).toMatchObject([
        { name: 'hyperdht', hyperdht: node('h', hyper) },
        { name: 'opendht', opendht: node('h', open) },
      ]);
    }
  });

  test('--rendezvous decides over ports; a network id means OpenDHT', async () => {
    expect(await chosen('--rendezvous=opendht', '--dht-bootstrap=h:49737')).toMatchObject([
      { name: 'opendht', opendht: node('h', 49737) },
    ]);
    expect(await chosen('--dht-network=7')).toMatchObject([
      { name: 'opendht', opendht: { network: 7, ...node('bootstrap.jami.net', 4222) } },
    ]);
    expect(await chosen('--rendezvous=hyperdht', '--dht-bootstrap=a:1;b:2,c', '--dht-port=9')).toEqual([
      {
        name: 'hyperdht',
        hyperdht: {
          bootstrap: [
            { host: 'a', port: 1 },
            { host: 'b', port: 2 },
            { host: 'c', port: 49737 },
          ],
          port: 9,
        },
      },
    ]);
  });

  test('several at once, each with what belongs to it', async () => {
    const both = await chosen('--rendezvous=hyperdht,file', '--file-dir=/tmp/x', '--rendezvous=hyperdht');
    expect(both).toEqual([
      { name: 'hyperdht', hyperdht: {} },
      { name: 'file', folder: '/tmp/x' },
    ]);
  });

  test.each([
    [
      ['--rendezvous=file', '--file-dir=d', '--dht-bootstrap=h'],
      /--rendezvous=file and --dht-bootstrap exclude/,
    ],
    [['--rendezvous=hyperdht', '--email-smtps=s'], /--rendezvous=hyperdht and --email-smtps exclude/],
    [['--rendezvous=hyperdht', '--dht-network=1'], /--rendezvous=hyperdht and --dht-network exclude/],
    [['--rendezvous=hyperdht', '--email-password=p'], /--rendezvous=hyperdht and --email-password exclude/],
    [['--email-password=only'], /--email-password means nothing without --email-smtps/],
    [['--rendezvous=hyperdht,opendht', '--dht-port=9'], /--dht-port cannot serve two DHTs/],
    [['--rendezvous=carrier-pigeon'], /--rendezvous/],
    [['--rendezvous=file'], /--rendezvous=file needs --file-dir/],
  ])('%j is an error that names both', async (argv, message) => {
    await expect(async () => settingsOf([...BASE, ...argv])).rejects.toThrow(message);
  });

  test('a DHT without an own identity is refused before any traffic', async () => {
    const without = BASE.filter((word) => !word.startsWith('--host-info'));
    await expect(settingsOf([...without, '--accept'])).rejects.toMatchObject({
      code: 'USAGE_MISSING',
      message: '--host-info needs owner and pin with hyperdht, but is "/"',
    });
    await expect(
      settingsOf(
        [...without, '--accept', '--host-info=me/', '--rendezvous=email,opendht', ...MAIL.slice(5)],
        {
          env: { AWL_EMAIL_PASSWORD: 'password' },
        },
      ),
    ).rejects.toThrow('--host-info needs owner and pin with opendht, but is "me/"');
  });
});

describe('the mail password', () => {
  test('from the environment and the file without a warning', async () => {
    expect(await account(MAIL, { AWL_EMAIL_PASSWORD: 'from-env' })).toMatchObject({
      password: 'from-env',
      warnings: [],
    });
    const path = file('pw', 'from file \nsecond line\n');
    expect(await account([...MAIL, `--email-password-file=${path}`])).toMatchObject({
      password: 'from file ',
      warnings: [],
    });
  });

  test('a file that others can read gets a warning', async () => {
    const { warnings } = await account([
      ...MAIL,
      `--email-password-file=${file('pw-open', 'secret-word', 0o644)}`,
    ]);
    expect(warnings).toEqual([expect.stringContaining('chmod 600')]);
  });

  test('from a command: first line, quotes, no shell', async () => {
    const script = file('print.sh', '#!/bin/sh\nprintf "%s\\nrest\\n" "$1"\n', 0o700);
    const { password } = await account([...MAIL, `--email-password-command=${script} "two words; $(id) *"`]);
    expect(password).toBe('two words; $(id) *');
  });

  test.each([
    ['false', /ended with status 1/],
    ['/nonexistent/program', /cannot start/],
    ['"open', /--email-password-command has an open "/],
    ['true', /password is empty/],
  ])('a command that gives none (%s) is named', async (command, message) => {
    await expect(account([...MAIL, `--email-password-command=${command}`])).rejects.toThrow(message);
  });

  test('no log line shows it from then on', async () => {
    await account(MAIL, { AWL_EMAIL_PASSWORD: 'very-secret-word' });
    const lines: string[] = [];
    createLogger({ write: (line) => lines.push(line) }).info('login with very-secret-word');
    expect(lines.join()).not.toContain('very-secret-word');
  });

  test('an absent file is an error that names it', async () => {
    await expect(account([...MAIL, '--email-password-file=/nonexistent'])).rejects.toMatchObject({
      code: 'CONFIG_UNREADABLE',
      message: expect.stringContaining('the password file /nonexistent'),
    });
  });
});

describe('the mail account', () => {
  test('a file that holds no certificate or key is named before any server is asked', async () => {
    const env = { AWL_EMAIL_PASSWORD: 'password' };
    const nonsense = file('nonsense.pem', 'nonsense');
    await expect(account([...MAIL, `--email-ca=${nonsense}`], env)).rejects.toThrow(
      /--email-ca .* holds no certificate/,
    );
    await expect(account([...MAIL, '--email-ca=/nonexistent'], env)).rejects.toThrow(
      /cannot read --email-ca/,
    );
  });

  test('--email-insecure is typed and warned of', async () => {
    const { insecure, warnings } = await account([...MAIL, '--email-insecure'], {
      AWL_EMAIL_PASSWORD: 'password',
    });
    expect(insecure).toBe(true);
    expect(warnings).toEqual([expect.stringContaining('--email-insecure')]);
  });

  test('polling: own option, then the plexus variable of the role, of both generations', async () => {
    const env = {
      AWL_EMAIL_PASSWORD: 'password',
      PLEXUS_MAX_POLLING_TIMEOUT: '20000',
      PLEXUS_EMAIL_MIN_POLLING_TIMEOUT: '4000',
    };
    expect((await account([...MAIL, '--email-poll=3'], env)).pollMs).toBe(3000);
    expect((await account([...MAIL, '--accept'], env)).pollMs).toBe(20_000);
    expect((await account(MAIL, env)).pollMs).toBe(4000);
    await expect(account(MAIL, { ...env, PLEXUS_EMAIL_MIN_POLLING_TIMEOUT: '1' })).rejects.toThrow(
      /PLEXUS_EMAIL_MIN_POLLING_TIMEOUT/,
    );
  });

  test('subject tokens of plexus; equal ones would make answers of invitations', async () => {
    const env = { AWL_EMAIL_PASSWORD: 'password', PLEXUS_INVITE_TOKEN: 'hello' };
    expect((await account(MAIL, env)).tokens).toEqual({ invite: 'hello', accept: 'accept' });
    await expect(account(MAIL, { ...env, PLEXUS_INVITE_TOKEN: 'accept' })).rejects.toThrow(
      /equals PLEXUS_ACCEPT_TOKEN/,
    );
    await expect(account(MAIL, { ...env, PLEXUS_INVITE_TOKEN: 'a b' })).rejects.toThrow(/is no word/);
  });
});
