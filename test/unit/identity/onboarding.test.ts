import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { encodeBundle } from '../../../src/identity/bundle.js';
import { parseName } from '../../../src/identity/names.js';
import { createIdentity, exportIdentity, trustIdentity } from '../../../src/identity/onboarding.js';
import { AppRepository } from '../../../src/identity/repository.js';
import { parseCertificate, validityOf } from '../../../src/identity/x509.js';
import { fixture, placeIdentity } from '../../support/identities.js';
import { refusal } from '../../support/refusal.js';
import { tempDir } from '../../support/tmp.js';

const me = parseName('me@px.test/laptop');
const alice = parseName('alice@px.test/pinA');
const bundleOf = (file: string, name = alice) => encodeBundle(name, parseCertificate(fixture(file), file));

/** Everything below a folder, hidden files too. */
function tree(path: string): string[] {
  return readdirSync(path, { recursive: true }).map(String).sort();
}

test('a new identity is a folder, key and certificate that nobody else can read or change', async () => {
  const repo = join(tempDir(), 'deep/repo');
  const now = new Date('2027-03-01T12:00:00Z');
  const made = await createIdentity(repo, me, { now });
  expect(tree(repo)).toEqual([
    'me@px.test',
    'me@px.test/laptop',
    'me@px.test/laptop/cert.crt',
    'me@px.test/laptop/private.key',
  ]);
  const mode = (path: string) => (statSync(join(repo, path)).mode & 0o7777).toString(8);
  expect([mode('.'), mode('me@px.test'), mode('me@px.test/laptop')]).toEqual(['700', '700', '700']);
  expect([mode('me@px.test/laptop/private.key'), mode('me@px.test/laptop/cert.crt')]).toEqual(['600', '644']);
  expect(validityOf(made.cert)).toEqual({
    from: new Date('2027-02-28T12:00:00Z'),
    to: new Date('2037-03-01T12:00:00Z'),
  });
  expect(made.outcome).toBe('created');

  const host = await new AppRepository(repo, { now: () => now }).host(me);
  expect(host.cert.fingerprint).toBe(made.cert.fingerprint);
  expect(host.cert.x509.subject).toBe('CN=me@px.test');
  expect(host.cert.x509.subjectAltName).toBe('email:me@px.test');
  expect(host.cert.x509.ca).toBe(false);
  expect(host.cert.x509.verify(host.cert.x509.publicKey)).toBe(true);
  expect(host.key.asymmetricKeyDetails?.modulusLength).toBe(2048);
});

test('two identities of one owner differ in key and serial: messages name their signer by issuer and serial', async () => {
  const repo = tempDir();
  const first = await createIdentity(repo, me);
  const second = await createIdentity(repo, parseName('me@px.test/nas'));
  expect(first.cert.x509.issuer).toBe(second.cert.x509.issuer);
  expect(first.cert.x509.serialNumber).not.toBe(second.cert.x509.serialNumber);
  expect(first.cert.x509.serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
  expect(first.cert.fingerprint).not.toBe(second.cert.fingerprint);
});

test('keys of 3072 bits can be had, of 1024 not', async () => {
  const repo = tempDir();
  await createIdentity(repo, me, { bits: 3072 });
  expect((await new AppRepository(repo).host(me)).key.asymmetricKeyDetails?.modulusLength).toBe(3072);
  const error = await refusal(() => createIdentity(repo, alice, { bits: 1024 }));
  expect([error.code, error.hint]).toEqual(['USAGE_BAD_VALUE', 'choose one of 2048, 3072, 4096']);
});

test('an identity that is there is never overwritten, whatever is in its folder', async () => {
  const repo = tempDir();
  const folder = placeIdentity(repo, 'me@px.test/laptop', { ca: 'ca.crt' });
  const error = await refusal(() => createIdentity(repo, me));
  expect([error.code, error.message]).toEqual(['FILE_EXISTS', `${folder} is already there`]);
  expect(readdirSync(folder)).toEqual(['ca.crt']);
});

test('two who make the same identity at once: one has it, the other is told, and the key fits the certificate', async () => {
  const repo = tempDir();
  const runs = await Promise.allSettled([
    createIdentity(repo, me),
    createIdentity(repo, me),
    createIdentity(repo, me),
  ]);
  const won = runs.filter((run) => run.status === 'fulfilled');
  const codes = runs.flatMap((run) => (run.status === 'rejected' ? [run.reason.code] : []));
  expect(codes).toEqual(['FILE_EXISTS', 'FILE_EXISTS']);
  expect((await new AppRepository(repo).host(me)).cert.fingerprint).toBe(won[0]?.value.cert.fingerprint);
  expect(tree(repo)).toHaveLength(4);
});

test('what fails leaves nothing half-made behind', async () => {
  const repo = join(tempDir(), 'new/repo');
  const error = await refusal(() => createIdentity(repo, me, { now: new Date(Number.NaN) }));
  expect(error.code).toBe('IDENTITY_EXPIRED');
  expect(existsSync(join(repo, '..'))).toBe(false);
});

test('nothing is written through a link that stands where the owner’s folder should be', async () => {
  const repo = tempDir();
  const elsewhere = tempDir();
  symlinkSync(elsewhere, join(repo, 'me@px.test'));
  expect((await refusal(() => createIdentity(repo, me))).code).toBe('IDENTITY_UNSAFE');
  const bundle = bundleOf('alice.crt', parseName('me@px.test/x'));
  expect((await refusal(() => trustIdentity(repo, bundle))).code).toBe('IDENTITY_UNSAFE');
  expect(readdirSync(elsewhere)).toEqual([]);
});

test('a name that is none is refused although its caller skipped the parser', async () => {
  const repo = tempDir();
  const evil = { owner: '..', pin: 'x' };
  expect((await refusal(() => createIdentity(repo, evil))).code).toBe('IDENTITY_NAME');
  expect((await refusal(() => trustIdentity(repo, bundleOf('alice.crt'), { as: evil }))).code).toBe(
    'IDENTITY_NAME',
  );
  expect(readdirSync(repo)).toEqual([]);
});

test('an exported identity holds its certificate and nothing of its key', async () => {
  const repo = tempDir();
  await createIdentity(repo, me);
  const text = await exportIdentity(repo, me);
  expect(text).toContain('awl-identity: me@px.test/laptop\n');
  expect(text).not.toContain('PRIVATE');
  const key = readFileSync(join(repo, 'me@px.test/laptop/private.key'), 'utf8').split('\n')[3] ?? '-';
  expect(text).not.toContain(key);
});

test('a bundle is trusted under its name, and a second time changes nothing', async () => {
  const repo = tempDir();
  const first = await trustIdentity(repo, bundleOf('alice.crt'));
  expect(first).toMatchObject({ outcome: 'added', name: alice, folder: join(repo, 'alice@px.test/pinA') });
  expect((await trustIdentity(repo, bundleOf('alice.crt'))).outcome).toBe('unchanged');
  expect(tree(repo)).toEqual(['alice@px.test', 'alice@px.test/pinA', 'alice@px.test/pinA/cert.crt']);
  expect((await new AppRepository(repo).peer(alice)).cert.fingerprint).toBe(first.cert.fingerprint);
});

test('another certificate under a known name is refused until --replace is typed', async () => {
  const repo = tempDir();
  const old = await trustIdentity(repo, bundleOf('alice.crt'));
  const error = await refusal(() => trustIdentity(repo, bundleOf('bob.crt')));
  expect(error.code).toBe('FILE_EXISTS');
  expect(error.hint).toContain('--replace');
  expect((await new AppRepository(repo).peer(alice)).cert.fingerprint).toBe(old.cert.fingerprint);
  expect((await trustIdentity(repo, bundleOf('bob.crt'), { replace: true })).outcome).toBe('replaced');
  expect((await new AppRepository(repo).peer(alice)).cert.fingerprint).not.toBe(old.cert.fingerprint);
  expect(readdirSync(join(repo, 'alice@px.test/pinA'))).toEqual(['cert.crt']);
});

test('a ca.crt that the user put there first stays, and the certificate joins it', async () => {
  const repo = tempDir();
  placeIdentity(repo, 'alice@px.test/pinA', { ca: 'ca.crt' });
  await trustIdentity(repo, bundleOf('alice.crt'));
  expect((await new AppRepository(repo).peer(alice)).ca?.x509.subject).toBe('CN=Test CA');
});

test('a plain certificate needs a name, and then works', async () => {
  const repo = tempDir();
  const pem = fixture('alice.crt').toString();
  const error = await refusal(() => trustIdentity(repo, pem, { what: 'a.crt' }));
  expect([error.code, error.message]).toEqual([
    'IDENTITY_NAME',
    'a.crt is a plain certificate and does not say whose it is',
  ]);
  expect((await trustIdentity(repo, pem, { as: alice })).outcome).toBe('added');
});

test('one’s own identity is not to be trusted: messages could be reflected', async () => {
  const repo = tempDir();
  await createIdentity(repo, me);
  const own = await exportIdentity(repo, me);
  for (const options of [{}, { as: parseName('friend@px.test/1') }, { replace: true }]) {
    const error = await refusal(() => trustIdentity(repo, own, options));
    expect([error.code, error.message]).toEqual([
      'IDENTITY_INVALID',
      'me@px.test/laptop is your own identity: its private key is in this repository',
    ]);
  }
  const foreign = bundleOf('alice.crt', me);
  expect((await refusal(() => trustIdentity(repo, foreign, { replace: true }))).code).toBe(
    'IDENTITY_INVALID',
  );
  expect((await new AppRepository(repo).list()).map(({ role }) => role)).toEqual(['host']);
});

test('expired, weak and EC certificates are refused at the door, and leave no empty folders', async () => {
  const repo = tempDir();
  const pem = (name: string) => fixture(name).toString();
  const now = new Date('2200-01-01');
  expect((await refusal(() => trustIdentity(repo, bundleOf('alice.crt'), { now }))).code).toBe(
    'IDENTITY_EXPIRED',
  );
  expect((await refusal(() => trustIdentity(repo, pem('weak.crt'), { as: alice }))).code).toBe(
    'IDENTITY_INVALID',
  );
  expect((await refusal(() => trustIdentity(repo, pem('ec.crt'), { as: alice }))).code).toBe(
    'IDENTITY_INVALID',
  );
  expect(readdirSync(repo)).toEqual([]);
});

test('a repository open to everybody takes nobody in', async () => {
  const repo = tempDir();
  chmodSync(repo, 0o777);
  expect((await refusal(() => trustIdentity(repo, bundleOf('alice.crt')))).code).toBe('IDENTITY_UNSAFE');
  expect((await refusal(() => createIdentity(repo, me))).code).toBe('IDENTITY_UNSAFE');
});

test('a file where the repository or an owner should be is an error that names it', async () => {
  const folder = tempDir();
  writeFileSync(join(folder, 'file'), '');
  const error = await refusal(() => createIdentity(join(folder, 'file'), me));
  expect([error.code, error.message]).toEqual(['FILE_WRITE', expect.stringContaining(join(folder, 'file'))]);
  mkdirSync(join(folder, 'repo'));
  writeFileSync(join(folder, 'repo', 'me@px.test'), '');
  const owner = await refusal(() => createIdentity(join(folder, 'repo'), me));
  expect([owner.code, owner.message]).toEqual([
    'IDENTITY_UNSAFE',
    expect.stringContaining('repo/me@px.test'),
  ]);
});
