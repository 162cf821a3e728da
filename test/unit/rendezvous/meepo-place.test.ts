import { expect, test } from 'vitest';
import { createLogger } from '../../../src/log.js';
import { addressesOf, parseRedisUrl } from '../../../src/rendezvous/meepo/place.js';

test.each([
  ['redis://h', { host: 'h', port: 6379, tls: false, database: 0 }],
  ['redis://h:1/1', { host: 'h', port: 1, tls: false, database: 1 }],
  ['rediss://[::1]:2/', { host: '::1', port: 2, tls: true, database: 0 }],
  ['redis://me:p%40ss@h', { host: 'h', port: 6379, tls: false, database: 0, user: 'me', password: 'p@ss' }],
])('%s is read', (url, place) => {
  expect(parseRedisUrl(url)).toEqual(place);
});

test.each(['', 'h:1', 'http://h', 'redis://', 'redis://h/x', 'redis://h/99999999', 'redis://%ff:x@h'])(
  '"%s" is an error that repeats no password',
  (url) => {
    expect(() => parseRedisUrl(url)).toThrow(expect.objectContaining({ code: 'USAGE_BAD_VALUE' }));
  },
);

test('the password of a URL stays out of the log', () => {
  const lines: string[] = [];
  const log = createLogger({ write: (line) => lines.push(line) });
  const { password } = parseRedisUrl('redis://me:very-secret@h');
  log.warning(`connecting with ${password}`);
  expect(lines.join('')).not.toContain('very-secret');
});

test('an address is its own only address', async () => {
  expect(await addressesOf('127.0.0.1', AbortSignal.timeout(1000))).toEqual(['127.0.0.1']);
});
