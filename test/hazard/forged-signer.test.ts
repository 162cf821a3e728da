import { beforeAll, expect, test } from 'vitest';
import type { HostIdentity } from '../../src/identity/repository.js';
import { der, sequence, TAG } from '../../src/wire/asn1.js';
import { encryptMessage } from '../../src/wire/smime.js';
import { DIGESTS, OID } from '../../src/wire/smime-algorithms.js';
import { type CraftedMessage, craftSealed } from '../support/crafted-signature.js';
import { invitation, REFERENCE, receive, refusal, REFERENCE_TEXT as text } from '../support/exchange.js';
import { capturedParty, makeParty } from '../support/parties.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');
let mallory: HostIdentity;
let ca: HostIdentity;
let peer: HostIdentity;
let sibling: HostIdentity;
let twin: HostIdentity;

beforeAll(() => {
  mallory = makeParty('alice@px.test/pinA');
  ca = makeParty('ca@px.test/root', { isCa: true });
  peer = makeParty('peer@px.test/pin', { issuer: ca });
  sibling = makeParty('sibling@px.test/pin', { issuer: ca });
  // Mallory's key under the very issuer and serial of alice.
  twin = makeParty('alice@px.test/pinA', {
    key: mallory.key,
    commonName: 'alice@px.test',
    serial: Buffer.from(alice.cert.x509.serialNumber, 'hex'),
  });
});

function refusedAsAlice(message: CraftedMessage): void {
  refusal(() => receive(craftSealed(bob, message), bob, alice), 'MESSAGE_NOT_PINNED');
}

test('the crafting itself is right: signed by alice it opens', () => {
  expect(receive(craftSealed(bob, { text, signers: [{ by: alice }] }), bob, alice).reference).toEqual(
    REFERENCE,
  );
});

test('F1: a self-made signer whose certificate comes inside the message opens nothing', () => {
  refusedAsAlice({ text, signers: [{ by: mallory }], certificates: [mallory] });
  refusedAsAlice({ text, signers: [{ by: mallory }], certificates: [alice, mallory] });
  refusedAsAlice({ text, signers: [{ by: mallory }] });
});

test('a signer that calls itself by alice’s issuer and serial opens nothing', () => {
  refusedAsAlice({ text, signers: [{ by: mallory, named: alice }] });
  refusedAsAlice({ text, signers: [{ by: mallory, named: alice }], certificates: [twin] });
  refusedAsAlice({ text, signers: [{ by: twin }], certificates: [twin] });
  refusal(() => receive(invitation(twin, bob), bob, alice), 'MESSAGE_NOT_PINNED');
});

test('another certificate of the same authority opens nothing', () => {
  const pinned = { ...peer, ca: ca.cert };
  const sealed = craftSealed(bob, { text, signers: [{ by: sibling }], certificates: [sibling, ca] });
  refusal(() => receive(sealed, bob, pinned), 'MESSAGE_NOT_PINNED');
  refusal(() => receive(invitation(sibling, bob), bob, pinned), 'MESSAGE_NOT_PINNED');
  expect(receive(invitation(peer, bob), bob, pinned).reference).toEqual(REFERENCE);
});

test('the authority itself cannot speak for a peer', () => {
  refusal(() => receive(invitation(ca, bob), bob, { ...peer, ca: ca.cert }), 'MESSAGE_NOT_PINNED');
});

test('a known peer cannot speak for another one', () => {
  refusal(() => receive(invitation(peer, bob), bob, alice), 'MESSAGE_NOT_PINNED');
});

test('our own message, reflected as the peer’s, opens nothing', () => {
  refusal(() => receive(invitation(bob, alice), bob, alice), 'MESSAGE_UNDECRYPTABLE');
  const own = craftSealed(bob, { text, signers: [{ by: bob }] });
  refusal(() => receive(own, bob, alice), 'MESSAGE_NOT_PINNED');
});

test('a certificate that alice had before, with the same key, does not count', () => {
  const former = makeParty('alice@px.test/pinA', { key: alice.key });
  refusal(() => receive(invitation(former, bob), bob, alice), 'MESSAGE_NOT_PINNED');
});

test('a signature algorithm that does not fit the pinned key is refused', () => {
  const ecdsa = sequence(DIGESTS[0]!.ecdsa);
  const pss = sequence(OID.rsaEncryption.subarray(0, -1), der(TAG.NULL));
  refusedAsAlice({ text, signers: [{ by: alice, algorithm: ecdsa }] });
  refusal(
    () => receive(craftSealed(bob, { text, signers: [{ by: alice, algorithm: pss }] }), bob, alice),
    'MESSAGE_NOT_PINNED',
    'MESSAGE_MALFORMED',
  );
});

test('an EC peer is pinned as an RSA one is', () => {
  const one = makeParty('ec@px.test/one', { type: 'ec' });
  const two = makeParty('ec@px.test/two', { type: 'ec' });
  expect(receive(invitation(one, bob), bob, one).reference).toEqual(REFERENCE);
  refusal(() => receive(invitation(two, bob), bob, one), 'MESSAGE_NOT_PINNED');
  const algorithm = sequence(DIGESTS[0]!.ecdsa);
  const forged = craftSealed(bob, { text, signers: [{ by: two, named: one, algorithm }] });
  refusal(() => receive(forged, bob, one), 'MESSAGE_NOT_PINNED');
});

test('a message for somebody else stays closed', () => {
  const sealed = invitation(alice, mallory);
  refusal(() => receive(sealed, bob, alice), 'MESSAGE_UNDECRYPTABLE');
});

test('an encrypted message that nobody signed opens nothing', () => {
  for (const inner of [`Content-Type: text/plain\r\n\r\n${text}`, `X: y\r\n\r\n${text}`]) {
    const bytes = encryptMessage(Buffer.from(inner), bob.cert.x509, 'aes256');
    refusal(() => receive({ form: 'smime', bytes }, bob, alice), 'MESSAGE_NOT_PINNED');
  }
});
