import { beforeAll, expect, test } from 'vitest';
import type { HostIdentity } from '../../src/identity/repository.js';
import { decryptMessage, encryptMessage } from '../../src/wire/smime.js';
import { invitation, REFERENCE, receive, refusal } from '../support/exchange.js';
import { capturedParty, makeParty } from '../support/parties.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');
let carol: HostIdentity;

beforeAll(() => {
  carol = makeParty('carol@px.test/pin');
});

/** What bob, who may read it, can do with alice's invitation. */
function passOn(bytes: Uint8Array, to: HostIdentity) {
  const signed = decryptMessage(bytes, bob.cert.x509, bob.key);
  return { form: 'smime', bytes: encryptMessage(signed, to.cert.x509, 'aes256') } as const;
}

test('F6: an invitation that its recipient encrypts anew for a third host is refused there', () => {
  const sealed = invitation(alice, bob, { extension: {} });
  expect(receive(sealed, bob, alice).reference).toEqual(REFERENCE);
  refusal(() => receive(passOn(sealed.bytes, carol), carol, alice), 'MESSAGE_MISDIRECTED');
});

test('an answer cannot be passed on either', () => {
  const sealed = invitation(alice, bob, { kind: 'accept', extension: { re: '00'.repeat(32) } });
  const passed = passOn(sealed.bytes, carol);
  refusal(() => receive(passed, carol, alice, { kind: 'accept' }), 'MESSAGE_MISDIRECTED');
});

test('a new certificate with the same key is the same recipient', () => {
  const renewed = makeParty('bob@px.test/pinB', { key: bob.key });
  const sealed = invitation(alice, renewed, { extension: {} });
  expect(receive(sealed, renewed, alice).extension?.to).toBe(bob.cert.fingerprint);
});
