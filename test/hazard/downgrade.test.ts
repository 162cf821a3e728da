import { expect, test } from 'vitest';
import { encryptMessage, signMessage } from '../../src/wire/smime.js';
import { craftSealed } from '../support/crafted-signature.js';
import { NOW, REFERENCE, receive, refusal, REFERENCE_TEXT as text } from '../support/exchange.js';
import { captured, capturedParty } from '../support/parties.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');

test('SHA-1 is refused with a word about what to use, SHA-512 is fine', () => {
  const weak = craftSealed(bob, { text, signers: [{ by: alice, digest: 'sha1' }] });
  const error = refusal(() => receive(weak, bob, alice), 'MESSAGE_UNSUPPORTED');
  expect(error.message).toContain('SHA-1');
  expect(error.hint).toContain('SHA-256');
  const strong = craftSealed(bob, { text, signers: [{ by: alice, digest: 'sha512' }] });
  expect(receive(strong, bob, alice).reference).toEqual(REFERENCE);
});

test('F2: a mail in clear opens nothing between peers that have certificates, typed or not', () => {
  for (const bytes of [captured('invite.plain.txt'), Buffer.from(text)]) {
    refusal(() => receive({ form: 'plain', bytes }, bob, alice), 'MESSAGE_PLAINTEXT');
    refusal(
      () => receive({ form: 'plain', bytes }, bob, alice, { allowPlaintext: true }),
      'MESSAGE_PLAINTEXT',
    );
    refusal(
      () => receive({ form: 'smime', bytes }, bob, alice, { allowPlaintext: true }),
      'MESSAGE_MALFORMED',
    );
  }
});

test('a message that is signed but not encrypted is refused', () => {
  const { message } = signMessage(text, { cert: alice.cert.x509, key: alice.key, signedAt: NOW });
  refusal(() => receive({ form: 'smime', bytes: message }, bob, alice), 'MESSAGE_UNDECRYPTABLE');
});

test('a message encrypted twice is refused', () => {
  const { message } = signMessage(text, { cert: alice.cert.x509, key: alice.key, signedAt: NOW });
  const once = encryptMessage(message, bob.cert.x509, 'aes256');
  expect(receive({ form: 'smime', bytes: once }, bob, alice).reference).toEqual(REFERENCE);
  const twice = encryptMessage(once, bob.cert.x509, 'aes256');
  refusal(() => receive({ form: 'smime', bytes: twice }, bob, alice), 'MESSAGE_NOT_PINNED');
});

test('a newer plexus text, rightly signed, is refused with what to change', () => {
  const newer = 'PLEXUS 3.5 20261121T072702 203.0.113.10:5001 10000011 0.0.0.0:0 00000000 udp:mutual 7';
  const sealed = craftSealed(bob, { text: newer, signers: [{ by: alice }] });
  refusal(() => receive(sealed, bob, alice), 'MESSAGE_UNSUPPORTED');
});
