import { beforeAll, expect, test } from 'vitest';
import type { HostIdentity } from '../../src/identity/repository.js';
import { der, sequence, TAG } from '../../src/wire/asn1.js';
import { encryptMessage } from '../../src/wire/smime.js';
import { OID } from '../../src/wire/smime-algorithms.js';
import {
  attribute,
  craftSealed,
  craftSignedData,
  usualAttributes,
  wrapSigned,
} from '../support/crafted-signature.js';
import { REFERENCE, receive, refusal, REFERENCE_TEXT as text } from '../support/exchange.js';
import { capturedParty, makeParty } from '../support/parties.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');
const EVIL = text.replace('203.0.113.7', '203.0.113.66');
let mallory: HostIdentity;

beforeAll(() => {
  mallory = makeParty('mallory@px.test/pin');
});

function receiveSigned(message: Buffer) {
  return receive({ form: 'smime', bytes: encryptMessage(message, bob.cert.x509, 'aes256') }, bob, alice);
}

test('two signers are refused, whoever they are and in either order', () => {
  for (const signers of [
    [{ by: alice }, { by: mallory }],
    [{ by: mallory }, { by: alice }],
    [{ by: alice }, { by: alice }],
  ]) {
    refusal(() => receive(craftSealed(bob, { text, signers }), bob, alice), 'MESSAGE_NOT_PINNED');
  }
});

test('no signer at all is refused', () => {
  refusal(() => receive(craftSealed(bob, { text, signers: [] }), bob, alice), 'MESSAGE_NOT_PINNED');
});

test('a signature without signed attributes is refused: nothing would date it', () => {
  const sealed = craftSealed(bob, { text, signers: [{ by: alice, attributes: [] }] });
  refusal(() => receive(sealed, bob, alice), 'MESSAGE_NOT_PINNED');
});

test.each([
  ['messageDigest twice', [2]],
  ['signingTime twice', [1]],
  ['contentType twice', [0]],
])('%s is refused', (_what, [index]) => {
  const usual = usualAttributes(text);
  const again = [usualAttributes(text)[index ?? 0]!];
  const sealed = craftSealed(bob, { text, signers: [{ by: alice, attributes: [...usual, ...again] }] });
  refusal(() => receive(sealed, bob, alice), 'MESSAGE_NOT_PINNED');
});

test('two extensions, or one with two values, are refused', () => {
  const value = der(TAG.UTF8_STRING, Buffer.from('{}'));
  for (const extra of [
    [attribute(OID.extension, value), attribute(OID.extension, value)],
    [attribute(OID.extension, value, value)],
  ]) {
    const attributes = [...usualAttributes(text), ...extra];
    const sealed = craftSealed(bob, { text, signers: [{ by: alice, attributes }] });
    refusal(() => receive(sealed, bob, alice), 'MESSAGE_NOT_PINNED');
  }
});

test('a missing messageDigest, a foreign one, or another content type is refused', () => {
  const [contentType, signingTime, digest] = usualAttributes(text);
  const foreign = usualAttributes(EVIL)[2]!;
  const other = attribute(OID.contentType, OID.signedData);
  for (const attributes of [
    [contentType!, signingTime!],
    [contentType!, signingTime!, foreign],
    [other, signingTime!, digest!],
    [signingTime!, digest!],
  ]) {
    const sealed = craftSealed(bob, { text, signers: [{ by: alice, attributes }] });
    refusal(() => receive(sealed, bob, alice), 'MESSAGE_NOT_PINNED', 'MESSAGE_MALFORMED');
  }
});

test('a second text inside the signature is refused', () => {
  const sealed = craftSealed(bob, { text, signers: [{ by: alice }], attached: EVIL });
  refusal(() => receive(sealed, bob, alice), 'MESSAGE_NOT_PINNED');
});

test('a second text between, before or after the signed one is refused', () => {
  const p7 = craftSignedData({ text, signers: [{ by: alice }] });
  expect(receiveSigned(wrapSigned(text, p7)).reference).toEqual(REFERENCE);
  for (const message of [
    wrapSigned(text, p7, [EVIL]),
    wrapSigned(EVIL, p7, [text]),
    wrapSigned(EVIL, p7),
    wrapSigned(`${text}\n`, p7),
    wrapSigned(`\n${text}`, p7),
  ]) {
    refusal(() => receiveSigned(message), 'MESSAGE_NOT_PINNED');
  }
});

test('boundary tricks do not show another text than the signed one', () => {
  const p7 = craftSignedData({ text, signers: [{ by: alice }] });
  const honest = wrapSigned(text, p7, [], 'b').toString('latin1');
  const tricks = [
    // A boundary that is the beginning of the real one, and one that the real one begins.
    honest.replace('boundary="b"', 'boundary=""'),
    honest.replace('boundary="b"', 'boundary="bb"'),
    // Two boundaries: two readers, two messages.
    honest.replace('boundary="b"', 'boundary="b"; boundary="c"'),
    honest.replace(
      '\r\n\r\n--b',
      `\r\nContent-Type: multipart/signed; boundary="c"\r\n\r\n--c\r\n${EVIL}\r\n--b`,
    ),
    // A decoy before the first delimiter and after the last.
    honest.replace('--b\r\n', `${EVIL}\r\n--bb\r\n${EVIL}\r\n--b\r\n`).concat(`--b\r\n${EVIL}\r\n--b--\r\n`),
    honest.replace('--b\r\n', `--b\r\n${EVIL}\r\n--b --\r\n`),
    // A lone CR is no line end.
    honest.replace(`${text}\r\n`, `${EVIL}\r--b\r${text}\r\n`),
  ];
  let opened = 0;
  for (const trick of tricks) {
    try {
      expect(receiveSigned(Buffer.from(trick, 'latin1')).reference).toEqual(REFERENCE);
      opened++;
    } catch (error) {
      refusal(
        () => {
          throw error;
        },
        'MESSAGE_NOT_PINNED',
        'MESSAGE_MALFORMED',
        'MESSAGE_UNDECRYPTABLE',
      );
    }
  }
  // Only the decoys outside the delimiters leave the signed text readable.
  expect(opened).toBe(1);
});

test('a signature over the right text but of another kind of content is refused', () => {
  const p7 = sequence(OID.envelopedData, der(0xa0, sequence()));
  refusal(() => receiveSigned(wrapSigned(text, p7)), 'MESSAGE_NOT_PINNED');
});
