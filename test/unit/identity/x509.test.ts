import { createHash, X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  canReceive,
  checkIssuedBy,
  checkValidity,
  formatFingerprint,
  parseCertificate,
} from '../../../src/identity/x509.js';
import { fixture } from '../../support/identities.js';
import { refusal } from '../../support/refusal.js';

const now = new Date('2027-01-01T00:00:00Z');
const load = (name: string) => parseCertificate(fixture(name), name);

test('the fingerprint is the SHA-256 of the public key, so that a renewed certificate of one key keeps its pin', () => {
  const spki = new X509Certificate(fixture('alice.crt')).publicKey.export({ type: 'spki', format: 'der' });
  const expected = createHash('sha256').update(spki).digest('hex');
  expect(load('alice.crt').fingerprint).toBe(expected);
  expect(load('noca.crt').fingerprint).toBe(expected);
});

test('text that openssl x509 -text writes before the certificate does not matter', () => {
  expect(load('alice.text.crt').pem).toBe(load('alice.crt').pem);
});

test('a file with CRLF line ends reads as one with LF', () => {
  const crlf = fixture('alice.crt').toString().replaceAll('\n', '\r\n');
  expect(parseCertificate(crlf, 'x').fingerprint).toBe(load('alice.crt').fingerprint);
});

test('of several certificates in one file the first counts, as OpenSSL has it', () => {
  expect(load('both.crt').fingerprint).toBe(load('alice.crt').fingerprint);
});

test('a certificate beside its key in one file reads, and the key is not carried along', () => {
  expect(load('combined.pem').pem).not.toContain('PRIVATE');
});

test('a certificate with OpenSSL trust settings reads, and they are dropped', () => {
  expect(load('alice.trusted.crt').pem).toBe(load('alice.crt').pem);
});

test.each([
  ['alice.der', 'holds no PEM certificate'],
  ['alice.key', 'holds no PEM certificate'],
])('%s is not a PEM certificate, and the error says which file and what to do', async (name, sentence) => {
  const error = await refusal(() => load(name));
  expect(error.code).toBe('IDENTITY_INVALID');
  expect(error.message).toBe(`${name} ${sentence}`);
  expect(error.hint).toContain('openssl x509 -inform DER');
});

test('a cut off or damaged certificate is an error, not a crash', async () => {
  const pem = fixture('alice.crt').toString();
  const half = await refusal(() => parseCertificate(pem.slice(0, 400), 'half.crt'));
  expect([half.code, half.message]).toEqual(['IDENTITY_INVALID', 'half.crt holds no PEM certificate']);
  const lines = pem.split('\n');
  const damaged = await refusal(() => parseCertificate([lines[0], ...lines.slice(3)].join('\n'), 'bad.crt'));
  expect([damaged.code, damaged.message]).toEqual(['IDENTITY_INVALID', 'bad.crt holds a broken certificate']);
});

test('an RSA key of 1024 bits is refused', async () => {
  const error = await refusal(() => load('weak.crt'));
  expect(error.code).toBe('IDENTITY_INVALID');
  expect(error.message).toContain('1024 bits');
  expect(error.hint).toContain('awl id init');
});

test('EC and Ed25519 certificates can be read, but nothing can be sealed to them', () => {
  expect(canReceive(load('ec.crt'))).toBe(false);
  expect(canReceive(load('ed.crt'))).toBe(false);
  expect(canReceive(load('alice.crt'))).toBe(true);
});

test('an expired certificate and one not yet valid are refused with their dates and a cure', async () => {
  const cert = load('alice.crt');
  const late = await refusal(() =>
    checkValidity(cert, new Date('2200-01-01T00:00:00Z'), '/repo/a/b/cert.crt'),
  );
  expect(late.code).toBe('IDENTITY_EXPIRED');
  expect(late.message).toMatch(
    /^\/repo\/a\/b\/cert\.crt was valid until 2126-\d\d-\d\d; today is 2200-01-01$/,
  );
  expect(late.hint).toContain('awl id trust FILE --replace');
  const early = await refusal(() => checkValidity(cert, new Date('2020-01-01T00:00:00Z'), 'it'));
  expect(early.code).toBe('IDENTITY_EXPIRED');
  expect(early.message).toMatch(/^it is not valid before 2026-/);
  expect(early.hint).toContain('clock');
  expect(() => checkValidity(cert, now, 'it')).not.toThrow();
});

test('a certificate that the authority issued passes, and so does a self-signed one as its own authority', () => {
  expect(() => checkIssuedBy(load('leaf.crt'), load('ca.crt'), now)).not.toThrow();
  expect(() => checkIssuedBy(load('alice.crt'), load('alice.crt'), now)).not.toThrow();
});

test.each([
  ['somebody else’s certificate', 'bob.crt', 'ca.crt', 'was not issued by'],
  [
    'an authority of the same name with another key',
    'leaf.crt',
    'ca.namesake.crt',
    'does not bear the signature',
  ],
  ['an issuer that is no authority', 'leaf2.crt', 'noca.crt', 'is not one of an authority'],
  ['the certificate’s key under another certificate', 'noca.crt', 'alice.crt', 'was not issued by'],
])('ca.crt: %s is refused', async (_case, cert, ca, sentence) => {
  const error = await refusal(() => checkIssuedBy(load(cert), load(ca), now));
  expect(error.code).toBe('IDENTITY_UNTRUSTED');
  expect(error.message).toContain(sentence);
  expect(error.hint).toContain('ca.crt');
});

test('an authority that has expired vouches for nobody, though the certificate itself is still good', async () => {
  const error = await refusal(() => checkIssuedBy(load('leaf.crt'), load('ca.crt'), new Date('2060-01-01')));
  expect(error.code).toBe('IDENTITY_EXPIRED');
  expect(error.message).toContain('the authority');
});

test('an authority with a key of another kind than the signature is a refusal, not a crash', async () => {
  const error = await refusal(() => checkIssuedBy(load('leaf.crt'), load('ed.crt'), now));
  expect(error.code).toBe('IDENTITY_UNTRUSTED');
});

test('a fingerprint is grouped so that two people can read it aloud', () => {
  expect(formatFingerprint('0123456789abcdef')).toBe('0123 4567 89ab cdef');
});
