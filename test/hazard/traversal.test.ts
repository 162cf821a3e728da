import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseName, parsePartialName } from '../../src/identity/names.js';
import { AppRepository } from '../../src/identity/repository.js';
import { placeIdentity } from '../support/identities.js';
import { refusal } from '../support/refusal.js';
import { tempDir } from '../support/tmp.js';

// A complete identity beside, above and below the repository: whoever gets out finds something.
function trap(): { repo: AppRepository; outside: string } {
  const outside = tempDir();
  placeIdentity(outside, 'eve/1', { cert: 'alice.crt', key: 'alice.key' });
  placeIdentity(outside, 'repo/a/b', { cert: 'alice.crt', key: 'alice.key' });
  placeIdentity(outside, 'repo/a/b/c', { cert: 'alice.crt', key: 'alice.key' });
  return { repo: new AppRepository(join(outside, 'repo')), outside };
}

const PARTS = [
  '..',
  '.',
  '',
  '../eve',
  'a/../..',
  'a/b',
  '/etc',
  '..\\eve',
  'b\0',
  'b\n',
  '\u2024\u2024',
  '%2e%2e',
  '~',
  '-rf',
  '.ssh',
  'b ',
  'x'.repeat(65),
  'ünïcode',
];

test.each(PARTS.flatMap((part) => [[part, 'b'] as const, ['a', part] as const]))(
  'the name %j / %j opens nothing, also when its caller did not parse it',
  async (owner, pin) => {
    const { repo } = trap();
    const name = { owner, pin };
    for (const role of ['host', 'peer'] as const) {
      expect((await refusal(() => repo[role](name))).code).toBe('IDENTITY_NAME');
    }
    expect(await repo.has(name)).toBe(false);
    const text = `${owner}/${pin}`;
    expect((await refusal(() => parseName(text))).code).toBe('IDENTITY_NAME');
    if (owner !== '' && pin !== '')
      expect((await refusal(() => parsePartialName(text))).code).toBe('IDENTITY_NAME');
  },
);

test('a name of the wrong type, from JavaScript without types, opens nothing', async () => {
  const { repo } = trap();
  const name = JSON.parse('{"owner": ["a"], "pin": "b"}');
  expect((await refusal(() => repo.host(name))).code).toBe('IDENTITY_NAME');
  expect(await repo.has(name)).toBe(false);
});

test('the sound name beside all these does open', async () => {
  const { repo } = trap();
  expect((await repo.host({ owner: 'a', pin: 'b' })).key.type).toBe('private');
});
