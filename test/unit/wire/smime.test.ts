import { randomBytes } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import type { HostIdentity } from '../../../src/identity/repository.js';
import { parseEntity } from '../../../src/wire/mime.js';
import { unwrapKey } from '../../../src/wire/rsa-transport.js';
import {
  decryptMessage,
  encryptMessage,
  isEnvelope,
  signMessage,
  verifyMessage,
} from '../../../src/wire/smime.js';
import { CIPHERS } from '../../../src/wire/smime-algorithms.js';
import { refusal } from '../../support/exchange.js';
import { captured, capturedEntity, capturedParty, makeParty } from '../../support/parties.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');
const SIGNED_AT = new Date('2026-11-21T08:00:00Z');
let ec: HostIdentity;

beforeAll(() => {
  ec = makeParty('ec@px.test/pin', { type: 'ec' });
});

function sign(text: string, by: HostIdentity, extension?: Buffer): Buffer {
  const options = { cert: by.cert.x509, key: by.key, signedAt: SIGNED_AT, ...(extension && { extension }) };
  return signMessage(text, options).message;
}

test.each([
  ['invite', alice, bob],
  ['accept', bob, alice],
] as const)('the captured %s of the real plexus decrypts and verifies to its text', (kind, from, to) => {
  const file = kind === 'invite' ? 'invite-alice-to-bob.eml' : 'accept-bob-to-alice.eml';
  const signed = decryptMessage(capturedEntity(file), to.cert.x509, to.key);
  expect(signed).toEqual(captured(`${kind}.signed.mime`));
  const verified = verifyMessage(signed, from.cert.x509);
  expect(verified.text.toString()).toBe(captured(`${kind}.plain.txt`).toString().trim());
  expect(verified.signedAt?.toISOString()).toMatch(/^2026-11-21T07:21:(06|13)\.000Z$/);
  expect(verified.extension).toBeUndefined();
});

test('a captured message reads the same with LF line ends, as an IMAP client may hand it over', () => {
  const lf = (bytes: Buffer) => Buffer.from(bytes.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
  const signed = decryptMessage(lf(capturedEntity('invite-alice-to-bob.eml')), bob.cert.x509, bob.key);
  const text = captured('invite.plain.txt').toString().trim();
  expect(verifyMessage(lf(signed), alice.cert.x509).text.toString()).toBe(text);
});

test.each(CIPHERS.map(({ name }) => name))('what is encrypted with %s comes back', (cipher) => {
  const message = sign('hello', alice);
  expect(decryptMessage(encryptMessage(message, bob.cert.x509, cipher), bob.cert.x509, bob.key)).toEqual(
    message,
  );
});

test('extension, time and text come back from a signature, RSA and EC', () => {
  for (const by of [alice, ec]) {
    const verified = verifyMessage(sign('one\ntwo\r\nthree', by, Buffer.from('{"v":1}')), by.cert.x509);
    expect(verified.text.toString()).toBe('one\r\ntwo\r\nthree');
    expect(verified.signedAt).toEqual(SIGNED_AT);
    expect(verified.extension?.toString()).toBe('{"v":1}');
  }
});

test('the signed attributes that the writer reports are the ones that the reader finds', () => {
  const { message, attributes } = signMessage('x', {
    cert: alice.cert.x509,
    key: alice.key,
    signedAt: SIGNED_AT,
  });
  expect(verifyMessage(message, alice.cert.x509).attributes).toEqual(attributes);
});

test('only RSA can receive, and the error says so', () => {
  const error = refusal(
    () => encryptMessage(Buffer.from('a: b\n\n'), ec.cert.x509, 'aes256'),
    'IDENTITY_INVALID',
  );
  expect(error.message).toContain('only RSA');
  const message = encryptMessage(sign('x', alice), bob.cert.x509, 'aes256');
  refusal(() => decryptMessage(message, ec.cert.x509, ec.key), 'IDENTITY_INVALID');
});

test('every decryption failure looks the same', () => {
  const message = encryptMessage(sign('x', alice), bob.cert.x509, 'aes256').toString('latin1');
  const foreign = () => decryptMessage(Buffer.from(message), alice.cert.x509, alice.key);
  const wrongKey = () => decryptMessage(Buffer.from(message), bob.cert.x509, alice.key);
  const noEnvelope = () =>
    decryptMessage(Buffer.from('Content-Type: text/plain\r\n\r\nhi'), bob.cert.x509, bob.key);
  // Not random: bytes that begin with a line end are an entity without headers.
  const noise = Buffer.alloc(400, 0x80);
  const garbage = () =>
    decryptMessage(encryptMessage(noise, bob.cert.x509, 'aes256'), bob.cert.x509, bob.key);
  const errors = [foreign, wrongKey, noEnvelope, garbage].map((f) => refusal(f, 'MESSAGE_UNDECRYPTABLE'));
  expect(new Set(errors.map(({ message: text, hint }) => `${text} ${hint}`)).size).toBe(1);
});

test('a bad padding yields a key of the right length that repeats for the same ciphertext only', () => {
  const wrapped = randomBytes(256);
  wrapped[0] = 0;
  const other = Buffer.from(wrapped);
  other[255]! ^= 1;
  const key = unwrapKey(bob.key, wrapped, 32);
  expect(key).toHaveLength(32);
  expect(unwrapKey(bob.key, wrapped, 32)).toEqual(key);
  expect(unwrapKey(bob.key, other, 32)).not.toEqual(key);
});

test('an entity is an envelope by its type, old spelling too, and not if it says that it is only signed', () => {
  const is = (type: string) => isEnvelope(parseEntity(Buffer.from(`Content-Type: ${type}\n\n`)));
  expect(is('application/x-pkcs7-mime; smime-type=enveloped-data')).toBe(true);
  expect(is('application/PKCS7-mime')).toBe(true);
  expect(is('application/pkcs7-mime; smime-type=signed-data')).toBe(false);
  expect(is('multipart/signed; boundary=b')).toBe(false);
});

test('each message has its own content key and boundary', () => {
  const [a, b] = [sign('x', alice), sign('x', alice)];
  expect(a.equals(b)).toBe(false);
  const [c, d] = [encryptMessage(a, bob.cert.x509, 'aes256'), encryptMessage(a, bob.cert.x509, 'aes256')];
  expect(c.equals(d)).toBe(false);
});
