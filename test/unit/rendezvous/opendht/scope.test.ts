import { expect, test } from 'vitest';
import { reachable, scopeOf } from '../../../../src/rendezvous/opendht/scope.js';

test.each([
  ['127.0.0.1', 'loopback'],
  ['::1', 'loopback'],
  ['10.1.2.3', 'private'],
  ['192.168.1.1', 'private'],
  ['100.64.0.1', 'private'],
  ['fd00::1', 'private'],
  ['203.0.113.7', 'public'],
  ['2001:db8::1', 'public'],
  ['0.0.0.0', undefined],
  ['255.255.255.255', undefined],
  ['224.0.0.1', undefined],
  ['169.254.169.254', undefined],
  ['::', undefined],
  ['::ffff:192.168.1.1', undefined],
  ['::127.0.0.1', undefined],
  ['64:ff9b::a00:1', undefined],
  ['2002:7f00:1::', undefined],
  ['fe80::1', undefined],
  ['ff02::1', undefined],
  ['not an address', undefined],
])('%s is %s', (address, scope) => {
  expect(scopeOf(address)).toBe(scope);
});

const named = (address: string, port = 4222) => ({ address, port });
const PUBLIC = named('203.0.113.1');
const INSIDE = named('192.168.1.9');

test('a stranger on the Internet cannot make us probe our own network or machine', () => {
  expect(reachable(named('192.168.1.1'), PUBLIC)).toBeUndefined();
  expect(reachable(named('10.0.0.1'), PUBLIC)).toBeUndefined();
  expect(reachable(named('fd00::1'), named('2001:db8::1'))).toBeUndefined();
  // Loopback means the namer's own machine.
  expect(reachable(named('127.0.0.1', 4333), PUBLIC)).toEqual(named('203.0.113.1', 4333));
});

test('inside a private network its nodes are named freely', () => {
  expect(reachable(named('192.168.1.1'), INSIDE)).toEqual(named('192.168.1.1'));
  expect(reachable(named('192.168.1.1'), named('127.0.0.1'))).toEqual(named('192.168.1.1'));
  expect(reachable(named('203.0.113.5'), INSIDE)).toEqual(named('203.0.113.5'));
});

test('ports of services and port 0 are not sent to', () => {
  for (const port of [0, 1, 53, 123, 1023])
    expect(reachable(named('203.0.113.5', port), PUBLIC)).toBeUndefined();
});
