import { describe, expect, test } from 'vitest';
import { OPTIONS } from '../../src/cli/options.js';
import { settingsOf, valuesOf } from '../support/cli.js';

const NEEDED = ['--app-id=a', '--stun-server=s', '--exec-command=true', '--host-info=a/b', '--peer-info=c/d'];
const MAIL = ['--email-smtps=s', '--email-imaps=i', '--email-login=l'];

describe('no option silently wins over another', () => {
  test.each([
    [['--email-password=p', '--email-password-file=f'], '--email-password and --email-password-file'],
    [['--email-password-file=f', '--email-passwd=p'], '--email-password-file and --email-passwd'],
    [
      ['--email-password-file=f', '--email-password-command=c'],
      '--email-password-file and --email-password-command',
    ],
    [['--email-insecure', '--email-ca=ca'], '--email-insecure and --email-ca'],
    [['--stun-ip=h', '--stun-server=h'], '--stun-ip and --stun-server'],
    [['--udp-bind=0.0.0.0', '--bind-ip=0.0.0.0'], '--udp-bind and --bind-ip'],
  ])('%j is an error that names both', (argv, both) => {
    expect(() => valuesOf(argv)).toThrow(
      expect.objectContaining({ code: 'USAGE_CONFLICT', message: `${both} exclude each other` }),
    );
  });

  test.each([
    [['--file-dir=d', ...MAIL], '--email-smtps and --file-dir'],
    [['--dht-bootstrap=h', ...MAIL], '--email-smtps and --dht-bootstrap'],
    [['--redis-url=redis://h', '--file-dir=d'], '--redis-url and --file-dir'],
    [['--dht-network=1', '--file-dir=d'], '--file-dir and --dht-network'],
  ])('%j: two rendezvous are only used together where both are named', async (argv, both) => {
    await expect(settingsOf([...NEEDED, ...argv])).rejects.toMatchObject({
      code: 'USAGE_CONFLICT',
      message: `${both} exclude each other`,
    });
  });

  test('two lines of one file conflict, too', () => {
    expect(() => valuesOf([], { config: 'email-insecure=true\nemail-ca=x' })).toThrow(
      /awl.ini:1: email-insecure and awl.ini:2: email-ca exclude each other/,
    );
  });

  test('a higher place replaces its rival on a lower one', () => {
    const env = { AWL_EMAIL_PASSWORD: 'from-env' };
    const values = valuesOf(['--email-password-file=f'], { env, config: 'email-password-command=c' });
    expect(values.text('email-password')).toBeUndefined();
    expect(values.text('email-password-command')).toBeUndefined();
    expect(values.text('email-password-file')).toBe('f');
  });

  test('a switch that is off excludes nothing', () => {
    expect(() => valuesOf(['--email-insecure=false', '--email-ca=x'])).not.toThrow();
  });

  test.each([
    [['--once'], '--once means nothing without --accept'],
    [['--accept-timeout=5'], '--accept-timeout means nothing without --accept'],
    [['--email-cert=c'], '--email-cert means nothing without --email-key'],
    [['--email-key=k'], '--email-key means nothing without --email-cert'],
    [['--bind-port=5'], '--bind-port means nothing without --bind-ip'],
  ])('%j: an option without the one it belongs to is an error, not ignored', (argv, message) => {
    expect(() => valuesOf(argv)).toThrow(expect.objectContaining({ code: 'USAGE_MISSING', message }));
  });

  test('an option given twice is an error, whatever name it has', () => {
    expect(() => valuesOf(['--app-id=a', '--app-id=b'])).toThrow(/--app-id is given twice/);
    expect(() => valuesOf(['--app-id=a', '--app-name=b'])).toThrow(
      /--app-name says the same thing as --app-id/,
    );
  });

  test('a typed rendezvous and the options of the other one', async () => {
    await expect(
      settingsOf([...NEEDED, ...MAIL, '--email-password=pppppp', '--rendezvous=file']),
    ).rejects.toThrow(/--rendezvous=file and --email-smtps exclude each other/);
    await expect(settingsOf([...NEEDED, '--rendezvous=email', '--file-dir=d'])).rejects.toThrow(
      /--rendezvous=email and --file-dir exclude each other/,
    );
    await expect(settingsOf([...NEEDED, '--rendezvous=file'])).rejects.toThrow(/needs --file-dir/);
  });

  test('two owners for one identity', async () => {
    await expect(
      settingsOf([...NEEDED.slice(0, 3), '--file-dir=d', '--host-id=a/b', '--email-from=c', '--peer-id=c/d']),
    ).rejects.toThrow(/--host-id and --email-from name different owners/);
  });
});

test('every conflict and requirement in the table names an option that exists', () => {
  const names = new Set(OPTIONS.map(({ name }) => name as string));
  for (const option of OPTIONS) {
    for (const other of [...(option.conflicts ?? []), ...(option.requires ?? [])]) {
      expect(names, `--${option.name} refers to --${other}`).toContain(other);
    }
  }
});

test('no name or alias is used twice', () => {
  const all = OPTIONS.flatMap(({ name, aliases }) => [name as string, ...(aliases ?? [])]);
  expect(new Set(all).size).toBe(all.length);
});
