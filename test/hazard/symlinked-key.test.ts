import { readdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { encodeBundle } from '../../src/identity/bundle.js';
import { parseName } from '../../src/identity/names.js';
import { trustIdentity } from '../../src/identity/onboarding.js';
import { AppRepository } from '../../src/identity/repository.js';
import { parseCertificate } from '../../src/identity/x509.js';
import { fixture, placeIdentity } from '../support/identities.js';
import { refusal } from '../support/refusal.js';
import { tempDir } from '../support/tmp.js';

const alice = parseName('alice@px.test/pinA');

/** A sound repository in which `part` was moved away and a link to it put in its place. */
function linked(part: string, target: 'outside' | 'inside'): AppRepository {
  const path = tempDir();
  placeIdentity(path, 'alice@px.test/pinA', { cert: 'alice.crt', key: 'alice.key', ca: 'ca.crt' });
  const moved = target === 'outside' ? join(tempDir(), 'moved') : join(path, part, '..', 'moved');
  renameSync(join(path, part), moved);
  symlinkSync(moved, join(path, part));
  return new AppRepository(path);
}

const PARTS = [
  'alice@px.test',
  'alice@px.test/pinA',
  'alice@px.test/pinA/private.key',
  'alice@px.test/pinA/cert.crt',
  'alice@px.test/pinA/ca.crt',
];

test.each(PARTS.flatMap((part) => [[part, 'outside'] as const, [part, 'inside'] as const]))(
  '%s as a link to a place %s the repository is refused although the target itself is sound',
  async (part, target) => {
    const repo = linked(part, target);
    const error = await refusal(() => repo.host(alice));
    expect(error.code).toBe('IDENTITY_UNSAFE');
    expect(error.message).toContain(join(repo.path, part));
    expect(error.message).toContain('symbolic link');
    if (part.endsWith('private.key')) expect((await repo.peer(alice)).name).toEqual(alice);
    else expect((await refusal(() => repo.peer(alice))).code).toBe('IDENTITY_UNSAFE');
  },
);

test('a dangling link is a link, not a missing file', async () => {
  const path = tempDir();
  const folder = placeIdentity(path, 'alice@px.test/pinA', { cert: 'alice.crt' });
  symlinkSync('/nowhere', join(folder, 'private.key'));
  const error = await refusal(() => new AppRepository(path).host(alice));
  expect([error.code, error.message]).toEqual([
    'IDENTITY_UNSAFE',
    `${folder}/private.key is a symbolic link`,
  ]);
});

test('trusting a peer whose cert.crt is a link writes nothing to where it leads', async () => {
  const path = tempDir();
  const folder = placeIdentity(path, 'alice@px.test/pinA', {});
  const elsewhere = tempDir();
  symlinkSync(join(elsewhere, 'target'), join(folder, 'cert.crt'));
  const bundle = encodeBundle(alice, parseCertificate(fixture('alice.crt'), 'alice.crt'));
  for (const replace of [false, true]) {
    expect((await refusal(() => trustIdentity(path, bundle, { replace }))).code).toBe('IDENTITY_UNSAFE');
  }
  expect(readdirSync(elsewhere)).toEqual([]);
  expect(readdirSync(folder)).toEqual(['cert.crt']);
});
