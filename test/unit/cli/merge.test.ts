import { describe, expect, test } from 'vitest';
import { valuesOf } from '../../support/cli.js';

describe('which value counts', () => {
  test('command line, then environment, then file, then default', () => {
    const env = { AWL_PUNCH_HOPS: '4' };
    const config = 'punch-hops=3';
    expect(valuesOf(['--punch-hops=5'], { env, config }).number('punch-hops')).toBe(5);
    expect(valuesOf([], { env, config }).number('punch-hops')).toBe(4);
    expect(valuesOf([], { config }).number('punch-hops')).toBe(3);
    expect(valuesOf([]).number('punch-hops')).toBe(7);
  });

  test('a switch in the file is turned off by the command line', () => {
    expect(valuesOf(['--accept=false'], { config: 'accept=true' }).flag('accept')).toBe(false);
  });

  test('an alias on a higher place beats the name on a lower one', () => {
    expect(valuesOf(['--app-name=b'], { config: 'app-id=a' }).text('app-id')).toBe('b');
  });

  test('plexus variables count, in milliseconds, below our own', () => {
    const env = { PLEXUS_RESPONSE_TIMEOUT: '1500', PLEXUS_HANDSHAKE_TIMEOUT: '90000' };
    const values = valuesOf([], { env: { ...env, AWL_HANDSHAKE_TIMEOUT: '5' } });
    expect(values.number('response-timeout')).toBe(1.5);
    expect(values.number('handshake-timeout')).toBe(5);
    expect(() => valuesOf([], { env: { PLEXUS_RESPONSE_TIMEOUT: 'soon' } })).toThrow(
      /PLEXUS_RESPONSE_TIMEOUT/,
    );
  });

  test('variables of a passage that an outer awl set are no options', () => {
    expect(
      valuesOf([], { env: { AWL_PEER_ID: 'a/b', AWL_HOST_ID: 'c/d', AWL_SECRET: '5' } }).given('peer-info'),
    ).toBe(false);
  });

  test('several STUN servers: repeated, with commas, on several lines of the file', () => {
    const hosts = (values: ReturnType<typeof valuesOf>) =>
      values.servers('stun-server').map(({ host }) => host);
    expect(hosts(valuesOf(['--stun-server=a,b', '--udp-stun=c;d']))).toEqual(['a', 'b', 'c', 'd']);
    expect(hosts(valuesOf([], { config: 'stun-server=a\nudp-stun=b' }))).toEqual(['a', 'b']);
  });

  test('environment pairs are split at line ends only, since their values may hold anything', () => {
    const values = valuesOf(['--exec-env=A=1,2;B=3\nC=4', '--exec-env=D=5']);
    expect(values.texts('exec-env')).toEqual(['A=1,2;B=3', 'C=4', 'D=5']);
  });
});

describe('wrong values name the place where they were written', () => {
  test.each([
    [['--punch-hops=0'], /^--punch-hops is "0"$/],
    [['--punch-hops=256'], /^--punch-hops is "256"$/],
    [['--nat-hops=seven'], /^--nat-hops is "seven"$/],
    [['--punch-hops=7.5'], /^--punch-hops is "7.5"$/],
    [['--accept-timeout=-1', '--accept'], /^--accept-timeout is "-1"$/],
    [['--accept=maybe'], /^--accept is "maybe"$/],
    [['--cipher=rot13'], /^--cipher cannot be "rot13"$/],
    [['--rendezvous=dht'], /^--rendezvous cannot be "dht"$/],
    [['--stun-client=eth0'], /^--stun-client needs an IP address/],
    [['--udp-stun=a b'], /^--udp-stun has "a b"/],
    [['--host-info=a/b/c'], /^--host-info is wrong/],
    [['--peer-info=../b'], /^--peer-info is wrong/],
    [['--app-id='], /^--app-id is empty$/],
    [['--stun-server=,'], /^--stun-server names nothing$/],
    [['--app-id=a\0b'], /^--app-id holds a NUL/],
    [[`--exec-args=${'x'.repeat(40_000)}`], /^--exec-args is 40000 characters long$/],
  ])('%j', (argv, message) => {
    expect(() => valuesOf(argv)).toThrow(message);
    expect(() => valuesOf(argv)).toThrow(expect.objectContaining({ code: 'USAGE_BAD_VALUE', exitCode: 64 }));
  });

  test('in the environment and in the file', () => {
    expect(() => valuesOf([], { env: { AWL_PUNCH_HOPS: 'x' } })).toThrow(/^AWL_PUNCH_HOPS is "x"$/);
    const wrong = () => valuesOf([], { config: '\nnat-hops=x' });
    expect(wrong).toThrow(/^awl.ini:2: nat-hops is "x"$/);
    expect(wrong).toThrow(expect.objectContaining({ code: 'CONFIG_SYNTAX', exitCode: 78 }));
  });

  test('log levels: words, and the numbers of the first generation', () => {
    expect(valuesOf(['--log-level=TRACE']).choice('log-level')).toBe('trace');
    expect(valuesOf(['--log-level=4']).choice('log-level')).toBe('info');
    expect(() => valuesOf(['--log-level=9'])).toThrow(/cannot be "9"/);
  });
});
