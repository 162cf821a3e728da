import { expect, test } from 'vitest';
import { decodeBundle, encodeBundle } from '../../../src/identity/bundle.js';
import { parseName } from '../../../src/identity/names.js';
import { parseCertificate } from '../../../src/identity/x509.js';
import { fixture } from '../../support/identities.js';
import { refusal } from '../../support/refusal.js';

const name = parseName('alice@px.test/pinA');
const alice = parseCertificate(fixture('alice.crt'), 'alice.crt');
const text = encodeBundle(name, alice);

test('a bundle says who it is, names its fingerprint and is a PEM certificate that openssl reads', () => {
  const lines = text.split('\n');
  expect(lines[0]).toBe('awl-identity: alice@px.test/pinA');
  expect(lines[1]).toMatch(/^awl-fingerprint: ([0-9a-f]{4} ){15}[0-9a-f]{4}$/);
  expect(lines[2]).toBe('-----BEGIN CERTIFICATE-----');
  const back = decodeBundle(text, 'x');
  expect(back.name).toEqual(name);
  expect(back.cert.fingerprint).toBe(alice.fingerprint);
});

test('a bundle survives a mail: greeting, quoting, CRLF, byte order mark, signature', () => {
  const quoted = text.replace(/^/gm, '> ').replaceAll('\n', '\r\n');
  const mail = `\uFEFFHello Bob,\r\nhere is mine:\r\n${quoted}\r\n-- \r\nAlice\r\n`;
  expect(decodeBundle(mail, 'x').name).toEqual(name);
});

test('a plain certificate carries no name', () => {
  expect(decodeBundle(fixture('alice.crt').toString(), 'x').name).toBeUndefined();
});

test('a certificate that was swapped on the way is refused by its fingerprint line', async () => {
  const swapped = text.replace(/-----BEGIN[\s\S]*/, fixture('bob.crt').toString());
  const error = await refusal(() => decodeBundle(swapped, 'b.awl'));
  expect([error.code, error.message]).toEqual([
    'IDENTITY_INVALID',
    'the certificate in b.awl is not the one its fingerprint line names',
  ]);
});

test('a bundle whose fingerprint line is gone is refused, not taken as a plain certificate', async () => {
  const error = await refusal(() => decodeBundle(text.replace(/^awl-fingerprint.*\n/m, ''), 'b.awl'));
  expect(error.message).toBe('b.awl lacks its awl-fingerprint: line');
});

test.each([
  ['two names', `awl-identity: eve@px.test/1\n${text}`],
  ['two fingerprints', text.replace('awl-fingerprint', 'awl-fingerprint: 00\nawl-fingerprint')],
  ['two certificates', text + fixture('bob.crt').toString()],
  ['two bundles', text + text],
])('%s in one file are refused: which one was compared?', async (_case, doubled) => {
  const error = await refusal(() => decodeBundle(doubled, 'b.awl'));
  expect([error.code, error.message]).toEqual(['IDENTITY_INVALID', 'b.awl holds more than one identity']);
});

test('a file with a private key in it is refused with the advice to make a new one', async () => {
  for (const key of ['alice.key', 'alice.pkcs1.key', 'alice.encrypted.key']) {
    const error = await refusal(() => decodeBundle(text + fixture(key).toString(), 'b.awl'));
    expect(error.code).toBe('IDENTITY_UNSAFE');
    expect(error.hint).toContain('new identity');
  }
});

test.each(['../../etc/cron.d', 'alice@px.test/..', '/alice', 'alice@px.test/-rf', 'alice\u0000/x', 'a/b/c'])(
  'a bundle that calls itself %j is refused: its name becomes a path',
  async (evil) => {
    const error = await refusal(() => decodeBundle(text.replace('alice@px.test/pinA', evil), 'b.awl'));
    expect(error.code).toBe('IDENTITY_NAME');
  },
);

test('a file larger than 64 kB is refused before it is parsed', async () => {
  const error = await refusal(() => decodeBundle(text + ' '.repeat(70_000), 'b.awl'));
  expect(error.message).toBe('b.awl is larger than 64 kB');
});
