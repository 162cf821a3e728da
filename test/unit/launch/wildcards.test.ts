import { describe, expect, test } from 'vitest';
import { checkNames, substitute, type WildcardValues } from '../../../src/launch/wildcards.js';
import { PASSAGE } from '../../support/passage.js';

const VALUES: WildcardValues = {
  ...PASSAGE,
  inner: { address: '192.168.10.2', port: 5001 },
  hostCert: '/repo/alice/cert.crt',
  hostKey: '/repo/alice/private.key',
};

describe('substitute', () => {
  test.each([
    ['%innerip% %innerport%', '192.168.10.2 5001'],
    ['%outerip% %outerport%', '198.51.100.10 40001'],
    ['%peerip% %peerport%', '203.0.113.10 40002'],
    ['%secret%', '1537732126717276277'],
    ['%hostpin% %peerpin%', 'laptop nas'],
    ['%hostemail% %peeremail%', 'alice@example.org bob@example.org'],
    ['%hostmail% %peermail%', 'alice@example.org bob@example.org'],
    ['%inner% %outer% %alien%', '192.168.10.2:5001 198.51.100.10:40001 203.0.113.10:40002'],
    ['%hostid% %peerid%', 'alice@example.org/laptop bob@example.org/nas'],
    ['%qos%', 'udp:client'],
    ['%unknown% %% % %INNERIP% %hostcert%', '%unknown% %% % %INNERIP% %hostcert%'],
    ['50%x%innerport%%innerport%', '50%x50015001'],
  ])('%j in arguments is %j', (token, expected) => {
    expect(substitute(token, VALUES)).toBe(expected);
  });

  test('the accepting side is the server of %qos%', () => {
    expect(substitute('%qos%', { ...VALUES, role: 'accept' })).toBe('udp:server');
  });

  test('certificate paths are for the environment only; a missing one is empty', () => {
    expect(substitute('%hostcert%|%hostkey%|%peercert%', VALUES, 'env')).toBe(
      '/repo/alice/cert.crt|/repo/alice/private.key|',
    );
    expect(substitute('%hostkey%', VALUES, 'path')).toBe('%hostkey%');
  });

  test('an IPv6 endpoint is bracketed where a port follows', () => {
    const values = { ...VALUES, peer: { address: '2001:db8::1', port: 7 } };
    expect(substitute('%alien% %peerip%', values)).toBe('[2001:db8::1]:7 2001:db8::1');
  });

  test('a value that looks like a wildcard or a replacement pattern is not looked at again', () => {
    const values = { ...VALUES, peerName: { owner: "$&$1$`$'$$", pin: '%secret%' } };
    expect(substitute('<%peeremail%|%peerpin%>', values)).toBe("<$&$1$`$'$$|%secret%>");
  });
});

describe('checkNames', () => {
  test.each(['', '..', '.x', '-x', 'a/b', 'a b', 'a\nb', 'ü', 'a\0', 'x'.repeat(65), '$(id)', '%secret%'])(
    'refuses the name %j, whoever made it',
    (part) => {
      expect(() => checkNames({ ...VALUES, peerName: { owner: 'bob', pin: part } })).toThrow(
        /cannot be handed/,
      );
      expect(() => checkNames({ ...VALUES, hostName: { owner: part, pin: 'x' } })).toThrow(
        /cannot be handed/,
      );
    },
  );
});
