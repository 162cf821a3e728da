import { expect, test } from 'vitest';
import { parsePrivateKey } from '../../../src/identity/private-key.js';
import { parseCertificate } from '../../../src/identity/x509.js';
import { fixture } from '../../support/identities.js';
import { refusal } from '../../support/refusal.js';

const alice = parseCertificate(fixture('alice.crt'), 'alice.crt');
const load = (name: string, cert = alice) => parsePrivateKey(fixture(name), cert, `/repo/${name}`);

test.each(['alice.key', 'alice.pkcs1.key', 'combined.pem'])('%s, as openssl writes it, is read', (name) => {
  expect(load(name).asymmetricKeyType).toBe('rsa');
});

test('an EC key with its certificate is read', () => {
  expect(load('ec.key', parseCertificate(fixture('ec.crt'), 'ec.crt')).asymmetricKeyType).toBe('ec');
});

test.each(['alice.encrypted.key', 'alice.encrypted-pkcs1.key'])(
  '%s: a key under a passphrase is refused with the command that takes it off, never asked for',
  async (name) => {
    const error = await refusal(() => load(name));
    expect(error.code).toBe('IDENTITY_INVALID');
    expect(error.message).toContain(`/repo/${name} is protected by a passphrase`);
    expect(error.hint).toContain(`openssl pkey -in /repo/${name}`);
  },
);

test('a key that belongs to another certificate is refused', async () => {
  const error = await refusal(() => load('bob.key'));
  expect(error.code).toBe('IDENTITY_INVALID');
  expect(error.message).toContain('/repo/bob.key does not belong to the certificate beside it');
});

test('a file without a key, and a damaged key, are errors that name the file', async () => {
  expect((await refusal(() => load('alice.crt'))).message).toBe('/repo/alice.crt holds no PEM private key');
  const lines = fixture('alice.key').toString().split('\n');
  const damaged = Buffer.from([lines[0], ...lines.slice(4)].join('\n'));
  const error = await refusal(() => parsePrivateKey(damaged, alice, 'k'));
  expect([error.code, error.message]).toEqual(['IDENTITY_INVALID', 'k holds a broken private key']);
});

test('no error message carries any of the key', async () => {
  const secret = fixture('bob.key').toString().split('\n')[5] ?? '';
  const error = await refusal(() => load('bob.key'));
  expect(secret).toHaveLength(64);
  expect(`${error.message}${error.hint}${String(error.cause)}`).not.toContain(secret);
});
