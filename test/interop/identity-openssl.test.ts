import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parseName } from '../../src/identity/names.js';
import { createIdentity, exportIdentity, trustIdentity } from '../../src/identity/onboarding.js';
import { AppRepository } from '../../src/identity/repository.js';
import { needs } from '../support/needs.js';
import { tempDir } from '../support/tmp.js';

const SCRIPT = new URL('../../scripts/make-apprepo', import.meta.url).pathname;

function openssl(args: string[], input = ''): string {
  return execFileSync('openssl', args, {
    input,
    encoding: 'utf8',
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: 20_000,
  });
}

describe.skipIf(!needs('openssl'))('openssl takes what awl id makes', () => {
  let repo = '';
  const cert = (name: string) => join(repo, name, 'cert.crt');
  const key = (name: string) => join(repo, name, 'private.key');
  const [ann, ben] = ['ann+tag@px.test/laptop', 'ben/nas'];

  beforeAll(async () => {
    repo = tempDir();
    await createIdentity(repo, parseName(ann));
    await createIdentity(repo, parseName(ben), { bits: 4096 });
  });

  test('the certificate says what S/MIME needs: names, use, no authority, ten years', () => {
    const text = openssl(['x509', '-in', cert(ann), '-noout', '-text']);
    expect(text).toContain('Version: 3 (0x2)');
    expect(text).toMatch(/Subject: CN ?= ?"?ann\+tag@px\.test"?/);
    expect(text).toContain('Signature Algorithm: sha256WithRSAEncryption');
    expect(text).toMatch(/Basic Constraints: critical\s+CA:FALSE/);
    expect(text).toMatch(/Key Usage: critical\s+Digital Signature, Key Encipherment/);
    expect(text).toContain('email:ann+tag@px.test');
    expect(text).toContain('Public-Key: (2048 bit)');
    const other = openssl(['x509', '-in', cert(ben), '-noout', '-text']);
    expect(other).toContain('Public-Key: (4096 bit)');
    expect(other).not.toContain('Subject Alternative Name');
  });

  test('the key is sound, belongs to the certificate, and the certificate verifies against itself', () => {
    expect(openssl(['pkey', '-in', key(ann), '-check', '-noout'])).toContain('Key is valid');
    expect(openssl(['pkey', '-in', key(ann), '-pubout'])).toBe(
      openssl(['x509', '-in', cert(ann), '-noout', '-pubkey']),
    );
    expect(openssl(['verify', '-CAfile', cert(ann), cert(ann)])).toContain('OK');
  });

  test('openssl computes the fingerprint that awl shows', async () => {
    const der = execFileSync('openssl', ['pkey', '-in', key(ann), '-pubout', '-outform', 'DER']);
    const { cert: loaded } = await new AppRepository(repo).host(parseName(ann));
    expect(createHash('sha256').update(der).digest('hex')).toBe(loaded.fingerprint);
  });

  test('sign, encrypt, decrypt and verify as plexus does: no certificate inside, the pinned one alone counts', () => {
    const signed = openssl(
      ['smime', '-sign', '-nocerts', '-signer', cert(ann), '-inkey', key(ann)],
      'PLEXUS 3.0 1.2.3.4 5 6',
    );
    const sealed = openssl(['smime', '-encrypt', '-des3', cert(ben)], signed);
    const opened = openssl(['smime', '-decrypt', '-recip', cert(ben), '-inkey', key(ben)], sealed);
    const verify = (signer: string) => [
      'smime',
      '-verify',
      '-noverify',
      '-nointern',
      '-certfile',
      cert(signer),
    ];
    expect(openssl(verify(ann), opened).trim()).toBe('PLEXUS 3.0 1.2.3.4 5 6');
    expect(() => openssl(verify(ben), opened)).toThrow(/signer certificate not found/);
    const chained = [
      'smime',
      '-verify',
      '-nointern',
      '-certfile',
      cert(ann),
      '-CAfile',
      cert(ann),
      '-purpose',
      'any',
    ];
    expect(openssl(chained, opened).trim()).toBe('PLEXUS 3.0 1.2.3.4 5 6');
  });

  test('openssl reads a bundle as the certificate that it is', async () => {
    const bundle = await exportIdentity(repo, parseName(ann));
    expect(openssl(['x509', '-noout', '-subject'], bundle)).toContain('ann+tag@px.test');
  });
});

describe.skipIf(!needs('openssl'))('awl takes what plexus users make with openssl', () => {
  const names = ['me+x@px.test/laptop', 'bob@px.test/nas'];

  test('make-apprepo makes both sides, and for each machine a copy without the other’s key', async () => {
    const dir = join(tempDir(), 'repo');
    execFileSync(SCRIPT, ['--split', dir, ...names], { timeout: 30_000 });
    for (const name of names) {
      expect(
        (await new AppRepository(dir).host(parseName(name))).key.asymmetricKeyDetails?.modulusLength,
      ).toBe(2048);
      expect(statSync(join(dir, name, 'private.key')).mode & 0o777).toBe(0o600);
    }
    for (const [index, own] of names.entries()) {
      const entries = await new AppRepository(`${dir}.${index + 1}`).list();
      expect(entries.every(({ usable, problems }) => usable && problems.length === 0)).toBe(true);
      const hosts = entries
        .filter(({ role }) => role === 'host')
        .map(({ name }) => `${name.owner}/${name.pin}`);
      expect(hosts).toEqual([own]);
    }
    expect(() => execFileSync(SCRIPT, [dir, ...names], { stdio: 'pipe' })).toThrow(/already there/);
  });

  test.each(['../x', 'a/..', 'a/b/c', 'a', '-r/x', 'a/', 'a b/c'])(
    'make-apprepo refuses the name %j',
    (name) => {
      const dir = join(tempDir(), 'repo');
      expect(() => execFileSync(SCRIPT, [dir, name], { stdio: 'pipe' })).toThrow(/make-apprepo: /);
      expect(existsSync(dir)).toBe(false);
    },
  );

  test('a name given twice does not land inside itself', () => {
    const dir = join(tempDir(), 'repo');
    expect(() => execFileSync(SCRIPT, [dir, 'a/b', 'a/b'], { stdio: 'pipe', timeout: 30_000 })).toThrow(
      /already there/,
    );
    expect(readdirSync(join(dir, 'a/b')).sort()).toEqual(['cert.crt', 'private.key']);
    expect(readdirSync(join(dir, 'a'))).toEqual(['b']);
  });

  test('the line that plexus users type, old and new key forms, and trust of the plain certificate', async () => {
    const dir = tempDir();
    const repo = join(dir, 'repo');
    const args = [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '365',
      '-subj',
      '/C=XX/O=Me/CN=me@px.test',
    ];
    openssl([...args, '-keyout', join(dir, 'k'), '-out', join(dir, 'c')]);
    execFileSync('mkdir', ['-p', join(repo, 'me@px.test/1'), join(repo, 'me@px.test/2')]);
    writeFileSync(join(repo, 'me@px.test/1/cert.crt'), openssl(['x509', '-in', join(dir, 'c')]));
    writeFileSync(
      join(repo, 'me@px.test/1/private.key'),
      openssl(['rsa', '-in', join(dir, 'k'), '-traditional']),
    );
    writeFileSync(join(repo, 'me@px.test/2/cert.crt'), openssl(['x509', '-in', join(dir, 'c'), '-text']));
    writeFileSync(
      join(repo, 'me@px.test/2/private.key'),
      openssl(['pkcs8', '-topk8', '-nocrypt', '-in', join(dir, 'k')]),
    );
    for (const pin of ['1', '2']) {
      chmodSync(join(repo, 'me@px.test', pin, 'private.key'), 0o600);
      expect((await new AppRepository(repo).host({ owner: 'me@px.test', pin })).key.type).toBe('private');
    }
    const peer = tempDir();
    await trustIdentity(peer, openssl(['x509', '-in', join(dir, 'c'), '-text']), {
      as: parseName('me@px.test/1'),
    });
    expect((await new AppRepository(peer).peer(parseName('me@px.test/1'))).cert.x509.subject).toContain(
      'O=Me',
    );
  });
});
