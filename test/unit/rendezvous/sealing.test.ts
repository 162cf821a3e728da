import { beforeAll, expect, test } from 'vitest';
import { SIGNING_TIME_WINDOW_MS } from '../../../src/constants.js';
import type { HostIdentity } from '../../../src/identity/repository.js';
import { parseEntity } from '../../../src/wire/mime.js';
import { decryptMessage, verifyMessage } from '../../../src/wire/smime.js';
import {
  after,
  invitation,
  NOW,
  REFERENCE,
  REFERENCE_TEXT,
  receive,
  refusal,
} from '../../support/exchange.js';
import { captured, capturedEntity, capturedParty, makeParty } from '../../support/parties.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');
let expiring: HostIdentity;
let ca: HostIdentity;
let issued: HostIdentity;

beforeAll(() => {
  const day = 24 * 3600_000;
  expiring = makeParty('old@px.test/pin', {
    from: after(-day),
    to: after(3600_000),
  });
  ca = makeParty('ca@px.test/root', { isCa: true });
  issued = makeParty('issued@px.test/pin', { issuer: ca });
});

test.each(['invite', 'accept'] as const)('a captured %s of the real plexus opens', (kind) => {
  const [file, from, to] =
    kind === 'invite'
      ? (['invite-alice-to-bob.eml', alice, bob] as const)
      : (['accept-bob-to-alice.eml', bob, alice] as const);
  const envelope = { form: 'smime', bytes: capturedEntity(file) } as const;
  const opened = receive(envelope, to, from, { app: 'pxapp', kind });
  const [, , address, port, puzzle] = captured(`${kind}.plain.txt`).toString().split(' ');
  expect(opened.reference.endpoint).toEqual({ address, port: Number(port) });
  expect(opened.reference.puzzle).toBe(BigInt(puzzle ?? ''));
  expect(opened.extension).toBeUndefined();
  expect(opened.digest).toMatch(/^[0-9a-f]{64}$/);
});

test('the digest is the one that docs/PROTOCOL.md gives for the captured invitation', () => {
  const envelope = { form: 'smime', bytes: capturedEntity('invite-alice-to-bob.eml') } as const;
  expect(receive(envelope, bob, alice, { app: 'pxapp' }).digest).toBe(
    '46401c6f10d416a989a03c26cef7b5381a85745c32529cf3573c6c6d6599726f',
  );
});

test('what is sealed opens at the peer with the same digest, in both ciphers', () => {
  for (const cipher of ['aes256', 'des3'] as const) {
    const sealed = invitation(alice, bob, { cipher });
    const opened = receive(sealed, bob, alice);
    expect(opened.reference).toEqual(REFERENCE);
    expect(opened.digest).toBe(sealed.digest);
    expect(opened.signedAt).toEqual(NOW);
  }
});

test('the extension comes back, bound to what is true whatever the caller filled in', () => {
  const extension = {
    kind: 'accept',
    app: 'x',
    to: 'y',
    v: 1,
    exp: 253_402_300_799,
    caps: ['confirm'],
  } as const;
  const opened = receive(invitation(alice, bob, { extension }), bob, alice);
  expect(opened.extension).toEqual({
    ...extension,
    kind: 'invite',
    app: 'app',
    to: bob.cert.fingerprint,
    cand: [],
  });
});

test('an extension without an expiry lasts as long as the freshness window', () => {
  const now = new Date('2026-11-21T12:00:00Z');
  const opened = receive(invitation(alice, bob, { extension: {}, now }), bob, alice, { now });
  expect(opened.extension?.exp).toBe((now.getTime() + SIGNING_TIME_WINDOW_MS) / 1000);
});

test('without an extension the message is plexus’ own: bare text, no attribute of ours', () => {
  const { bytes } = invitation(alice, bob);
  const signed = decryptMessage(bytes, bob.cert.x509, bob.key);
  expect(parseEntity(signed).type.parameters.get('micalg')).toBe('sha-256');
  const verified = verifyMessage(signed, alice.cert.x509);
  expect(verified.text.toString()).toBe(REFERENCE_TEXT);
  expect(verified.extension).toBeUndefined();
});

test('digests of two messages differ even with the same reference', () => {
  const one = invitation(alice, bob);
  const later = invitation(alice, bob, { now: after(1000) });
  const byBob = invitation(bob, alice);
  expect(new Set([one.digest, later.digest, byBob.digest]).size).toBe(3);
});

test('an expired certificate neither seals nor opens, and the error names whose it is', () => {
  const now = after(2 * 3600_000);
  const error = refusal(() => invitation(expiring, bob, { now }), 'IDENTITY_EXPIRED');
  expect(error.message).toContain('old@px.test/pin');
  refusal(() => invitation(alice, expiring, { now }), 'IDENTITY_EXPIRED');
  const sealed = invitation(expiring, bob);
  expect(receive(sealed, bob, expiring).reference).toEqual(REFERENCE);
  refusal(() => receive(sealed, bob, expiring, { now }), 'IDENTITY_EXPIRED');
});

test('ca.crt is honoured on top of the pin: the peer’s as plexus 3.1, else the host’s as 3.4', () => {
  const sealed = invitation(issued, bob);
  expect(receive(sealed, bob, { ...issued, ca: ca.cert }).reference).toEqual(REFERENCE);
  expect(receive(sealed, { ...bob, ca: ca.cert }, issued).reference).toEqual(REFERENCE);
  refusal(() => receive(sealed, bob, { ...issued, ca: alice.cert }), 'IDENTITY_UNTRUSTED');
  refusal(() => receive(sealed, { ...bob, ca: alice.cert }, issued), 'IDENTITY_UNTRUSTED');
  expect(receive(sealed, { ...bob, ca: alice.cert }, { ...issued, ca: ca.cert }).reference).toEqual(
    REFERENCE,
  );
  refusal(() => invitation(bob, { ...issued, ca: alice.cert }), 'IDENTITY_UNTRUSTED');
});

test('a message in clear is written only where a certificate is missing and the user typed it', () => {
  const bare = { name: bob.name };
  refusal(() => invitation(alice, bare as HostIdentity), 'IDENTITY_MISSING');
  const sealed = invitation(alice, bare as HostIdentity, { plaintext: true });
  expect(sealed.form).toBe('plain');
  expect(Buffer.from(sealed.bytes).toString()).toBe(REFERENCE_TEXT);
  expect(invitation(alice, bob, { plaintext: true }).form).toBe('smime');
});

test('a message in clear is read only where a certificate is missing and the user typed it', () => {
  const envelope = { form: 'plain', bytes: captured('invite.plain.txt') } as const;
  const bare = { name: alice.name } as HostIdentity;
  const opened = receive(envelope, bob, bare, { allowPlaintext: true });
  expect(opened.reference.endpoint).toEqual({ address: '203.0.113.10', port: 5021 });
  expect(opened.signedAt).toBeUndefined();
  refusal(() => receive(envelope, bob, bare), 'MESSAGE_PLAINTEXT');
  refusal(() => receive(envelope, bob, alice, { allowPlaintext: true }), 'MESSAGE_PLAINTEXT');
});

test('a sealed message cannot be read without certificates, however it is announced', () => {
  const { bytes } = invitation(alice, bob);
  const bare = { name: alice.name } as HostIdentity;
  refusal(() => receive({ form: 'smime', bytes }, bob, bare, { allowPlaintext: true }), 'IDENTITY_MISSING');
  refusal(() => receive({ form: 'plain', bytes }, bob, bare, { allowPlaintext: true }), 'MESSAGE_MALFORMED');
});

test('an identity cannot invite itself: its own messages would come back as the peer’s', () => {
  refusal(() => invitation(alice, alice), 'IDENTITY_INVALID');
  const sealed = invitation(bob, alice);
  refusal(() => receive(sealed, alice, alice), 'MESSAGE_MISDIRECTED');
});

test('an extension too large for readers is not sent', () => {
  const cand = Array.from({ length: 17 }, () => ({ type: 'host', endpoint: REFERENCE.endpoint }) as const);
  refusal(() => invitation(alice, bob, { extension: { cand } }), 'MESSAGE_MALFORMED');
});

test('a full extension still makes a message far below the cap', () => {
  const cand = Array.from(
    { length: 16 },
    () => ({ type: 'predicted', endpoint: REFERENCE.endpoint }) as const,
  );
  const sealed = invitation(alice, bob, { extension: { cand, caps: ['confirm'], dh: Buffer.alloc(32) } });
  expect(sealed.bytes.length).toBeLessThan(8_000);
});
