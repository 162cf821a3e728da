import { expect, test } from 'vitest';
import { findInHosts, lookupName } from '../../../src/util/name-lookup.js';

const HOSTS = `127.0.0.1 localhost
# 192.0.2.9 stun.example.org
192.0.2.1\tStun.Example.org stun  # the old one
192.0.2.2 stun.example.org
2001:db8::1 stun.example.org
nonsense stun.example.org
`;

test.each([
  ['stun.example.org', 4, '192.0.2.1'],
  ['STUN', 4, '192.0.2.1'],
  ['stun.example.org', 6, '2001:db8::1'],
  ['localhost', 6, undefined],
  ['example.org', 4, undefined],
  ['192.0.2.1', 4, undefined],
] as const)('a hosts file is read as the system reads it: %s IPv%s', (name, family, address) => {
  expect(findInHosts(HOSTS, name, family)).toBe(address);
});

test('localhost needs no name server', async () => {
  expect(await lookupName('localhost', 4, new AbortController().signal)).toBe('127.0.0.1');
});

test('an aborted lookup ends at once', async () => {
  await expect(lookupName('stun.invalid', 4, AbortSignal.abort())).rejects.toThrow();
});
