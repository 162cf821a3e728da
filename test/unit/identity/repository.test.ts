import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { parseName } from '../../../src/identity/names.js';
import { AppRepository } from '../../../src/identity/repository.js';
import { placeIdentity } from '../../support/identities.js';
import { needs } from '../../support/needs.js';
import { refusal } from '../../support/refusal.js';
import { tempDir } from '../../support/tmp.js';

const alice = parseName('alice@px.test/pinA');
const bob = parseName('bob@px.test/pinB');

function repository(): { path: string; repo: AppRepository } {
  const path = tempDir();
  placeIdentity(path, 'alice@px.test/pinA', { cert: 'alice.crt', key: 'alice.key' });
  placeIdentity(path, 'bob@px.test/pinB', { cert: 'bob.crt' });
  return { path, repo: new AppRepository(path) };
}

test('a host is loaded with its key, a peer with its certificate alone', async () => {
  const { repo } = repository();
  const host = await repo.host(alice);
  expect(host.key.type).toBe('private');
  expect(host.cert.x509.subject).toBe('CN=alice@px.test');
  expect(host).not.toHaveProperty('ca');
  const peer = await repo.peer(bob);
  expect(peer.cert.x509.subject).toBe('CN=bob@px.test');
  expect(peer).not.toHaveProperty('key');
});

test('a peer whose folder also holds a private key is loaded without opening that key', async () => {
  const { path, repo } = repository();
  chmodSync(join(path, 'alice@px.test/pinA/private.key'), 0o644);
  expect(await repo.peer(alice)).not.toHaveProperty('key');
});

test('ca.crt is loaded for hosts (plexus 3.4) and for peers (plexus 3.1)', async () => {
  const { path, repo } = repository();
  placeIdentity(path, 'alice@px.test/pinA', { ca: 'ca.crt' });
  placeIdentity(path, 'leaf@px.test/1', { cert: 'leaf.crt', ca: 'ca.crt' });
  expect((await repo.host(alice)).ca?.x509.subject).toBe('CN=Test CA');
  expect((await repo.peer(parseName('leaf@px.test/1'))).ca?.x509.subject).toBe('CN=Test CA');
});

test('keys in PKCS#1 as old openssl wrote them work', async () => {
  const { path, repo } = repository();
  placeIdentity(path, 'alice@px.test/pinA', { key: 'alice.pkcs1.key' });
  expect((await repo.host(alice)).key.asymmetricKeyType).toBe('rsa');
});

describe('what is missing is named with its path and the command that makes it', () => {
  test.each([
    ['no repository', 'host', 'x@y/z', '/nowhere/x@y/z', 'awl id init x@y/z'],
    ['no folder of the host', 'host', 'x@y/z', 'x@y/z', 'awl id init x@y/z'],
    ['no folder of the peer', 'peer', 'x@y/z', 'x@y/z', 'awl id trust FILE'],
    ['no key', 'host', 'bob@px.test/pinB', 'bob@px.test/pinB/private.key', 'awl id init'],
    ['no certificate of the host', 'host', 'carol@px.test/1', 'carol@px.test/1/cert.crt', 'awl id init'],
    ['no certificate of the peer', 'peer', 'carol@px.test/1', 'carol@px.test/1/cert.crt', 'awl id export'],
  ] as const)('%s', async (hazard, role, name, path, cure) => {
    const made = repository();
    placeIdentity(made.path, 'carol@px.test/1', { key: 'alice.key' });
    const repo = hazard === 'no repository' ? new AppRepository('/nowhere') : made.repo;
    const error = await refusal(() => repo[role](parseName(name)));
    expect(error.code).toBe('IDENTITY_MISSING');
    expect(error.message.endsWith(path), error.message).toBe(true);
    expect(error.hint).toContain(cure);
  });
});

test('a key beside the wrong certificate is refused', async () => {
  const { path, repo } = repository();
  placeIdentity(path, 'alice@px.test/pinA', { cert: 'bob.crt' });
  const error = await refusal(() => repo.host(alice));
  expect([error.code, error.message]).toEqual([
    'IDENTITY_INVALID',
    `${path}/alice@px.test/pinA/private.key does not belong to the certificate beside it`,
  ]);
});

test('an EC identity is refused before the network is: nothing could be sealed to it', async () => {
  const { path, repo } = repository();
  placeIdentity(path, 'ec/1', { cert: 'ec.crt', key: 'ec.key' });
  for (const role of ['host', 'peer'] as const) {
    const error = await refusal(() => repo[role](parseName('ec/1')));
    expect([error.code, error.hint]).toEqual([
      'IDENTITY_INVALID',
      expect.stringContaining('needs an RSA key'),
    ]);
  }
});

test('an expired certificate is refused, of a host and of a peer', async () => {
  const { path } = repository();
  const repo = new AppRepository(path, { now: () => new Date('2200-01-01') });
  expect((await refusal(() => repo.host(alice))).code).toBe('IDENTITY_EXPIRED');
  expect((await refusal(() => repo.peer(bob))).code).toBe('IDENTITY_EXPIRED');
});

test('has() is true for a folder of the repository and false for everything else', async () => {
  const { path, repo } = repository();
  mkdirSync(join(path, 'empty/1'), { recursive: true });
  writeFileSync(join(path, 'file'), '');
  symlinkSync(join(path, 'alice@px.test'), join(path, 'link'));
  expect(await repo.has(alice)).toBe(true);
  expect(await repo.has(parseName('empty/1'))).toBe(true);
  expect(await repo.has(parseName('alice@px.test/other'))).toBe(false);
  expect(await repo.has(parseName('link/pinA'))).toBe(false);
  expect(await repo.has(parseName('file/1'))).toBe(false);
  expect(await repo.has({ owner: '..', pin: '..' })).toBe(false);
});

test('the repository itself may be a symbolic link: the user named it', async () => {
  const { path } = repository();
  const link = join(tempDir(), 'repo');
  symlinkSync(path, link);
  expect((await new AppRepository(link).host(alice)).name).toEqual(alice);
});

test('plexus’ default "" is the current folder', () => {
  expect(new AppRepository('').path).toBe('.');
});

describe.skipIf(!needs('root'))('files of other users', () => {
  afterEach(() => {
    delete process.env['SUDO_UID'];
  });

  test.each([
    'alice@px.test/pinA/private.key',
    'alice@px.test/pinA/cert.crt',
    'alice@px.test/pinA',
    'alice@px.test',
    '.',
  ])('%s that somebody else owns is refused: he could change it at any time', async (part) => {
    const { path, repo } = repository();
    chownSync(join(path, part), 12_345, 12_345);
    const error = await refusal(() => repo.host(alice));
    expect(error.code).toBe('IDENTITY_UNSAFE');
    expect(error.message).toBe(`${join(path, part)} belongs to user 12345, who could change it at any time`);
  });

  test('under sudo the files of the user who typed it count as ours', async () => {
    const { path, repo } = repository();
    process.env['SUDO_UID'] = '12345';
    for (const part of ['.', 'alice@px.test', 'alice@px.test/pinA', 'alice@px.test/pinA/private.key']) {
      chownSync(join(path, part), 12_345, 12_345);
    }
    expect((await repo.host(alice)).name).toEqual(alice);
  });
});
