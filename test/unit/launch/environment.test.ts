import { describe, expect, test } from 'vitest';
import { passageVariables, payloadEnvironment } from '../../../src/launch/environment.js';
import { PASSAGE } from '../../support/passage.js';

describe('passageVariables', () => {
  test('names every value once and nothing that is not there', () => {
    expect(passageVariables(PASSAGE)).toEqual({
      AWL_ROLE: 'invite',
      AWL_QOS: 'udp:client',
      AWL_INNER_IP: '127.0.0.1',
      AWL_INNER_PORT: '0',
      AWL_OUTER_IP: '198.51.100.10',
      AWL_OUTER_PORT: '40001',
      AWL_PEER_IP: '203.0.113.10',
      AWL_PEER_PORT: '40002',
      AWL_HOST_ID: 'alice@example.org/laptop',
      AWL_PEER_ID: 'bob@example.org/nas',
      AWL_SECRET: '1537732126717276277',
    });
  });

  test('writes the session key as 64 hex digits', () => {
    const env = passageVariables({ ...PASSAGE, sessionKey: new Uint8Array(32).fill(0xa5) });
    expect(env['AWL_SESSION_KEY']).toBe('a5'.repeat(32));
  });
});

describe('payloadEnvironment', () => {
  test('keeps the user environment, drops awl settings and the secrets of an outer awl', () => {
    const env = payloadEnvironment(
      {
        PATH: '/bin',
        AWL_EMAIL_PASSWORD: 'mail password',
        AWL_SESSION_KEY: 'outer key',
        AWL_SECRET: '1',
        AWL_TUN_LOCAL: '10.1.1.1',
        AWL_WG_PRIVATE_KEY_FILE: '/k',
        NOTHING: undefined,
      },
      PASSAGE,
    );
    expect(env).toMatchObject({ PATH: '/bin', AWL_TUN_LOCAL: '10.1.1.1', AWL_WG_PRIVATE_KEY_FILE: '/k' });
    expect(env['AWL_SECRET']).toBe('1537732126717276277');
    expect(env).not.toHaveProperty('AWL_EMAIL_PASSWORD');
    expect(env).not.toHaveProperty('AWL_SESSION_KEY');
    expect(env).not.toHaveProperty('NOTHING');
  });

  test('pairs of the user come last and take wildcards in their values', () => {
    const env = payloadEnvironment({ A: 'old' }, { ...PASSAGE, hostKey: '/k' }, [
      'A=new',
      'KEY=%hostkey%',
      'E=',
      'Q=a=b',
    ]);
    expect(env).toMatchObject({ A: 'new', KEY: '/k', E: '', Q: 'a=b' });
  });

  test.each(['novalue', '=x', '1A=x', 'A B=x', 'A=x\0y', ''])('refuses the pair %j', (pair) => {
    expect(() => payloadEnvironment({}, PASSAGE, [pair])).toThrow(/--exec-env .* is not KEY=VALUE/);
  });

  test('an error about a pair does not show its value', () => {
    expect(() => payloadEnvironment({}, PASSAGE, ['A B=hush-hush'])).toThrow(/^(?!.*hush)/);
  });
});
