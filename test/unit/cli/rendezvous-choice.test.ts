import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dhtSettings } from '../../../src/cli/dht-settings.js';
import { chosenRendezvous } from '../../../src/cli/rendezvous-choice.js';
import { AwlError } from '../../../src/errors.js';
import { type Surroundings, valuesOf } from '../../support/cli.js';

const chosen = (argv: readonly string[], around: Surroundings = {}) =>
  chosenRendezvous(valuesOf(argv, around));
const MAIL_FILE = 'email-smtps=s\nemail-imaps=i\nemail-login=l';

describe('the place of higher rank wins over another rendezvous on a lower one', () => {
  test.each<[readonly string[], Surroundings, readonly string[]]>([
    [['--file-dir=d'], { config: MAIL_FILE }, ['file']],
    [['--dht-bootstrap=h:49737'], { config: MAIL_FILE }, ['hyperdht']],
    [['--rendezvous=hyperdht'], { config: `${MAIL_FILE}\nfile-dir=d` }, ['hyperdht']],
    [['--rendezvous=hyperdht'], { config: 'dht-network=5' }, ['hyperdht']],
    [[], { env: { AWL_FILE_DIR: 'd' }, config: MAIL_FILE }, ['file']],
    [['--email-smtps=s'], { env: { AWL_DHT_BOOTSTRAP: 'h' }, config: 'email-imaps=i' }, ['email']],
    [
      ['--rendezvous=email,hyperdht'],
      { config: `rendezvous=file\nfile-dir=d\n${MAIL_FILE}` },
      ['email', 'hyperdht'],
    ],
    [[], { config: `rendezvous=opendht\nrendezvous=email\n${MAIL_FILE}` }, ['opendht', 'email']],
  ])('%j beside %j', (argv, around, names) => {
    expect(chosen(argv, around)).toEqual(names);
  });
});

describe('what stands on one place and cannot be meant together names both', () => {
  test.each<[readonly string[], Surroundings, string]>([
    [['--file-dir=d', '--dht-port=5'], {}, '--file-dir and --dht-port'],
    [['--email-login=l', '--dht-network=0'], {}, '--email-login and --dht-network'],
    [[], { config: `${MAIL_FILE}\ndht-bootstrap=h` }, 'awl.ini:1: email-smtps and awl.ini:4: dht-bootstrap'],
    [
      ['--dht-bootstrap=h'],
      { config: 'rendezvous=email' },
      'awl.ini:1: rendezvous=email and --dht-bootstrap',
    ],
    [['--rendezvous=email,file', '--dht-port=1'], {}, '--rendezvous=email,file and --dht-port'],
    [['--file-dir=d', '--email-password=p'], {}, '--file-dir and --email-password'],
  ])('%j beside %j', (argv, around, both) => {
    expect(() => chosen(argv, around)).toThrow(
      expect.objectContaining({
        code: 'USAGE_CONFLICT',
        message: `${both} exclude each other`,
        hint: expect.stringContaining('--rendezvous='),
      }),
    );
  });

  test('a password for other calls, in the environment or the file, is no choice and no conflict', () => {
    const around = { env: { AWL_EMAIL_PASSWORD: 'p' }, config: 'email-password-file=f' };
    expect(chosen([], around)).toEqual(['hyperdht']);
    expect(chosen(['--dht-bootstrap=h:4222'], around)).toEqual(['opendht']);
  });
});

describe('the nodes of two DHTs side by side', () => {
  const tokens = { invite: 'invite', accept: 'accept' };
  const nodes = (...argv: string[]) => {
    const values = valuesOf(argv);
    const names = chosenRendezvous(values).filter((name) => name === 'hyperdht' || name === 'opendht');
    return names.map((name) => {
      const settings = dhtSettings(values, name, names.length === 1, tokens);
      const { bootstrap = [] } =
        'opendht' in settings ? settings.opendht : 'hyperdht' in settings ? settings.hyperdht : {};
      return `${name} ${bootstrap.map(({ host, port }) => `${host}:${port}`).join(' ')}`.trim();
    });
  };

  test.each([
    [['--dht-bootstrap=a:4222,b:49737'], ['hyperdht b:49737', 'opendht a:4222']],
    [['--dht-bootstrap=a:4222,b:49737,c:1'], ['hyperdht b:49737 c:1', 'opendht a:4222 c:1']],
    [['--dht-bootstrap=a:49737,b:1,c'], ['hyperdht a:49737 b:1 c:49737']],
    [['--dht-bootstrap=a:4222', '--dht-bootstrap=b'], ['opendht a:4222 b:4222']],
    [
      ['--rendezvous=hyperdht,opendht', '--dht-bootstrap=h'],
      ['hyperdht h:49737', 'opendht h:4222'],
    ],
    [
      ['--rendezvous=hyperdht,opendht', '--dht-bootstrap=h:49737'],
      ['hyperdht h:49737', 'opendht bootstrap.jami.net:4222'],
    ],
    [['--rendezvous=hyperdht', '--dht-bootstrap=h:4222'], ['hyperdht h:4222']],
    [['--rendezvous=OpenDHT'], ['opendht bootstrap.jami.net:4222']],
  ])('%j', (argv, expected) => {
    expect(nodes(...argv)).toEqual(expected);
  });

  test('no mixture of options ends otherwise than with a choice or an error that says what to do', () => {
    const option = fc.constantFrom(
      ...['--rendezvous=email', '--rendezvous=hyperdht,file', '--rendezvous=opendht', '--file-dir=d'],
      ...[
        '--email-smtps=s',
        '--email-login=l',
        '--email-password=p',
        '--dht-bootstrap=a',
        '--dht-bootstrap=b:4222',
      ],
      ...['--dht-bootstrap=c:9;d:49737', '--dht-port=4', '--dht-port=0', '--dht-network=3'],
    );
    const level = fc.uniqueArray(option, { maxLength: 5, selector: (word) => word.split('=')[0] });
    fc.assert(
      fc.property(level, level, (argv, lines) => {
        try {
          const config = lines.map((line) => line.slice(2)).join('\n');
          const names = chosen(argv, { config });
          expect(names.length).toBeGreaterThan(0);
          expect(new Set(names).size).toBe(names.length);
        } catch (error) {
          expect(error).toBeInstanceOf(AwlError);
          expect(error).toMatchObject({ code: expect.stringMatching(/^USAGE_/), hint: expect.any(String) });
        }
      }),
      { numRuns: 1000 },
    );
  });
});
