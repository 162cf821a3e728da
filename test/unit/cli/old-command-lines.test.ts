import { describe, expect, test } from 'vitest';
import { settingsOf, valuesOf } from '../../support/cli.js';

/** The words of a documented command line; quotes keep blanks together. */
function words(line: string): string[] {
  const found = line.match(/(?:[^\s"]+|"[^"]*")+/g) ?? [];
  return found.map((word) => word.replaceAll('"', '')).slice(1);
}

const ACCEPT_31 =
  'plexus --accept --app-id=appname --email-smtps=smtp.mailer.com:465 --email-imaps=imap.mailer.com ' +
  '--email-login=login --email-password=password --host-info=host@mailer.com/hostname ' +
  '--peer-info=peer@mailer.com/peername --stun-server=stun.someserver.com:3478 --stun-client=192.0.2.7:5000 ' +
  '--exec-command=~/plexus/tests/exec.sh';

describe('plexus 3.1', () => {
  test('its documented acceptor', async () => {
    const { accept, settings, warnings } = await settingsOf(words(ACCEPT_31));
    expect(accept).toBe(true);
    expect(settings).toMatchObject({
      app: 'appname',
      repo: '.',
      host: { owner: 'host@mailer.com', pin: 'hostname' },
      peer: { owner: 'peer@mailer.com', pin: 'peername' },
      stun: [{ host: 'stun.someserver.com', port: 3478 }],
      bind: { address: '192.0.2.7', port: 5000 },
      // No --punch-hops: what is measured counts, and plexus’ 7 where nothing is.
      responseTimeoutMs: 60_000,
      handshakeTimeoutMs: 60_000,
      rendezvous: [
        {
          name: 'email',
          email: {
            smtps: { host: 'smtp.mailer.com', port: 465 },
            imaps: { host: 'imap.mailer.com', port: 993 },
            login: 'login',
            password: 'password',
          },
        },
      ],
      exec: { args: '%innerip% %innerport% %outerip% %outerport% %peerip% %peerport%' },
    });
    expect(settings.hops).toBeUndefined();
    expect(settings.exec?.command).toMatch(/^\/.*\/plexus\/tests\/exec\.sh$/);
    expect(warnings).toEqual([expect.stringContaining('--email-password-file')]);
  });

  test('the inviter is the same without --accept; the payload options of its wormhole example', async () => {
    const line = `${ACCEPT_31.replace('--accept ', '')} --exec-args="--purpose=export --gateway=%innerip%:%innerport%" --exec-log=export.ssh.log`;
    const { accept, settings } = await settingsOf(words(line));
    expect(accept).toBe(false);
    expect(settings.exec).toMatchObject({
      args: '--purpose=export --gateway=%innerip%:%innerport%',
      log: 'export.ssh.log',
    });
  });

  test('its DHT line meets over OpenDHT, as there', async () => {
    const line =
      'plexus --app-id=appname --app-repo=/path/to/apprepo --accept --dht-bootstrap=bootstrap.jami.net:4222 ' +
      '--host-info=host@mailer.com/hostid --peer-info=peer@mailer.com/peerid --stun-server=stun.someserver.com ' +
      '--exec-command=exec.sh';
    const bootstrap = [{ host: 'bootstrap.jami.net', port: 4222 }];
    const { accept, settings } = await settingsOf(words(line));
    expect(accept).toBe(true);
    expect(settings.rendezvous).toEqual([
      {
        name: 'opendht',
        opendht: { bootstrap, port: 0, network: 0, tokens: { invite: 'invite', accept: 'accept' } },
      },
    ]);
    const own = await settingsOf(words(`${line} --dht-port=4222 --dht-network=5`));
    expect(own.settings.rendezvous).toMatchObject([{ name: 'opendht', opendht: { port: 4222, network: 5 } }]);
  });

  test('with no rendezvous named it takes the DHT without account and server, as plexus does', async () => {
    const line = 'plexus --app-id=a --host-info=a/b --peer-info=c/d --stun-server=s --exec-command=true';
    expect((await settingsOf(words(line))).settings.rendezvous).toEqual([{ name: 'hyperdht', hyperdht: {} }]);
  });

  test('the same as a configuration file', async () => {
    const config = words(ACCEPT_31)
      .map((word) => word.slice(2))
      .map((line) => (line.includes('=') ? line : `${line}=true`))
      .join('\n');
    const fromFile = await settingsOf([], { config });
    const typed = await settingsOf(words(ACCEPT_31));
    expect(fromFile.settings).toEqual(typed.settings);
    expect(fromFile.accept).toBe(true);
    expect(fromFile.warnings).toEqual([]);
  });
});

describe('plexus 3.4', () => {
  const LINE =
    'plexus --app-name=appname --app-repo=/path/to/apprepo --accept --host-id=host@mailer.com/hostid ' +
    '--peer-id=peer@mailer.com/peerid --udp-stun=stun.someserver.com --udp-bind=0.0.0.0:0 --nat-hops=5 ' +
    '--exec-cmd=exec.sh --app-qos=udp:either --email-smtps=s --email-imaps=i --email-login=l --email-password=password';

  test('what the program speaks, and where TCP is, is taken as 3.4 means it', async () => {
    const line = LINE.replace(
      'udp:either',
      'tcp:client --tcp-bind=192.0.2.5:7000 --tcp-stun=a.example,b.example:9',
    );
    const { settings } = await settingsOf(words(line));
    expect(settings).toMatchObject({
      qos: { proto: 'tcp', role: 'client' },
      tcp: {
        bind: { address: '192.0.2.5', port: 7000 },
        stun: [
          { host: 'a.example', port: 3478 },
          { host: 'b.example', port: 9 },
        ],
      },
    });
  });

  test.each(['tcp', 'tcp:', 'sctp:client', 'udp:either:'])(
    '--app-qos=%s is no quality of service',
    async (text) => {
      await expect(settingsOf(words(LINE.replace('udp:either', text)))).rejects.toMatchObject({
        code: 'USAGE_BAD_VALUE',
        hint: expect.stringMatching(/udp:either/),
      });
    },
  );

  test('its names mean what they meant, with its own default arguments', async () => {
    const { settings } = await settingsOf(words(LINE));
    expect(settings).toMatchObject({
      app: 'appname',
      repo: '/path/to/apprepo',
      host: { owner: 'host@mailer.com', pin: 'hostid' },
      hops: 5,
      exec: { command: 'exec.sh', args: '%inner% %outer% %alien% %qos%' },
    });
  });

  test('one 3.1 name among them brings the arguments of 3.1', async () => {
    const { settings } = await settingsOf(words(LINE.replace('--exec-cmd', '--exec-command')));
    expect(settings.exec?.args).toBe('%innerip% %innerport% %outerip% %outerport% %peerip% %peerport%');
  });

  test('its wormhole example: the secret by environment', async () => {
    const line = `${LINE} --exec-args="--gateway=%inner% --faraway=%alien%" --exec-env="WORMHOLE_SECRET=%secret%"`;
    const { settings } = await settingsOf(words(line));
    expect(settings.exec?.env).toEqual(['WORMHOLE_SECRET=%secret%']);
  });

  const DHT = LINE.replace(/--email-.*/, '');

  test('its DHT line: several hosts, its separators, any free local port', async () => {
    const { settings, warnings } = await settingsOf(
      words(`${DHT} --dht-bootstrap=bootstrap.jami.net:4222;own.example.org:4222,[2001:db8::1]:4222`),
    );
    const bootstrap = ['bootstrap.jami.net', 'own.example.org', '2001:db8::1'].map((host) => ({
      host,
      port: 4222,
    }));
    expect(settings.rendezvous).toMatchObject([
      { name: 'opendht', opendht: { bootstrap, port: 0, network: 0 } },
    ]);
    expect(warnings).toEqual([]);
  });

  test('its host without a port is asked at the port of each DHT, and that is said', async () => {
    const { settings, warnings } = await settingsOf(words(`${DHT} --dht-bootstrap=bootstrap.jami.net`));
    expect(settings.rendezvous).toMatchObject([
      { name: 'hyperdht', hyperdht: { bootstrap: [{ host: 'bootstrap.jami.net', port: 49737 }] } },
      { name: 'opendht', opendht: { bootstrap: [{ host: 'bootstrap.jami.net', port: 4222 }] } },
    ]);
    expect(warnings).toEqual([
      expect.stringMatching(/--dht-bootstrap=bootstrap.jami.net may name .*--rendezvous=opendht/),
    ]);
  });

  test('the tokens of plexus count over its DHT, too', async () => {
    const { settings } = await settingsOf(words(`${DHT} --dht-bootstrap=h:4222`), {
      env: { PLEXUS_INVITE_TOKEN: 'hello', PLEXUS_ACCEPT_TOKEN: 'yes' },
    });
    expect(settings.rendezvous).toMatchObject([{ opendht: { tokens: { invite: 'hello', accept: 'yes' } } }]);
  });

  test('values that mean what awl does are taken', () => {
    expect(() => valuesOf(['--udp-route=direct', '--tcp-bind=0.0.0.0:0', '--nat-test=strict'])).not.toThrow();
  });

  test.each([
    ['--udp-route=bridge', /--udp-route cannot be "bridge"/, /a relay of its own kind/],
    ['--rico-server=h', /--rico-server is a plexus option/, /a relay of its own kind/],
    ['--nat-test=noneed', /--nat-test cannot be "noneed"/, /STUN/],
  ])('%s is an error that says so', (option, message, hint) => {
    expect(() => valuesOf([option])).toThrow(
      expect.objectContaining({
        code: 'USAGE_BAD_VALUE',
        message: expect.stringMatching(message),
        hint: expect.stringMatching(hint),
      }),
    );
  });
});

describe('the first generation', () => {
  const COMMON =
    '--email-smtps=smtp.peermailer.com:465 --email-imaps=imap.peermailer.com:993 --email-login=peerlogin ' +
    '--email-passwd=peerpassword --email-from=peerhost@peermailer.com --email-to=yourhost@yourmailer.com';

  test('pins alone, the owners being the mail addresses; seven default arguments; no application name', async () => {
    const line = `plexus --accept ${COMMON} --host-id=remote --peer-id=local --stun-server=stun.someserver.com --stun-client=192.0.2.7:1974 --exec-command=exec.sh`;
    const { settings, warnings } = await settingsOf(words(line));
    expect(settings).toMatchObject({
      app: 'plexus',
      host: { owner: 'peerhost@peermailer.com', pin: 'remote' },
      peer: { owner: 'yourhost@yourmailer.com', pin: 'local' },
      exec: { args: '%innerip% %innerport% %outerip% %outerport% %peerip% %peerport% %secret%' },
    });
    expect(warnings).toEqual([expect.stringContaining('--email-passwd')]);
  });

  test('its earlier spelling of servers, addresses and subjects', async () => {
    const line = `plexus --accept ${COMMON} --email-subj-from=remote --email-subj-to=local --stun-ip=stun.someserver.com --bind-port=1974 --bind-ip=192.0.2.7 --exec-command=exec.sh`;
    const { settings } = await settingsOf(words(line));
    expect(settings).toMatchObject({
      host: { pin: 'remote' },
      peer: { pin: 'local' },
      stun: [{ host: 'stun.someserver.com', port: 3478 }],
      bind: { address: '192.0.2.7', port: 1974 },
    });
  });

  test('without --email-from the login is the owner', async () => {
    const line =
      'plexus --app-id=a --email-smtps=s --email-imaps=i --email-login=me@example.org --email-passwd=password ' +
      '--host-id=one --peer-id=two --stun-server=s --exec-command=exec.sh --exec-args=';
    const { settings } = await settingsOf(words(line));
    expect(settings.host).toEqual({ owner: 'me@example.org', pin: 'one' });
    expect(settings.peer).toEqual({ owner: 'me@example.org', pin: 'two' });
    // Its documentation: an empty text means the default, here with the secret.
    expect(settings.exec?.args).toMatch(/ %secret%$/);
  });

  test('a pin alone is an error where the name is not that generation’s', async () => {
    const line = 'awl --app-id=a --file-dir=d --host-info=laptop --stun-server=s --exec-command=x';
    await expect(settingsOf(words(line))).rejects.toThrow(/--host-info is "laptop", which has no owner/);
  });

  test('certificates by path are told where they belong', () => {
    expect(() => valuesOf(['--smime-cert=me.crt'])).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('OWNER/PIN/cert.crt') }),
    );
  });
});
