import { beforeAll, expect, test } from 'vitest';
import {
  SEEN_RETENTION_MS,
  SEEN_UNTIMED_RETENTION_MS,
  SIGNING_TIME_WINDOW_MS,
} from '../../../src/constants.js';
import type { HostIdentity } from '../../../src/identity/repository.js';
import { publicKeyInfo } from '../../../src/identity/x509.js';
import type { OpenOptions, SealOptions } from '../../../src/rendezvous/sealing.js';
import { openValue, sealValue } from '../../../src/rendezvous/sealing-opendht.js';
import { retentionOf } from '../../../src/rendezvous/sealing-rules.js';
import { sealingOf } from '../../../src/rendezvous/sealings.js';
import { encodeMsgpack } from '../../../src/wire/msgpack.js';
import { encryptBlob } from '../../../src/wire/opendht-cipher.js';
import { decodeDat, decodeValue, signDat } from '../../../src/wire/opendht-value.js';
import { encodeReference } from '../../../src/wire/reference.js';
import { after, NOW, REFERENCE, REFERENCE_TEXT, refusal } from '../../support/exchange.js';
import { capturedParty, makeParty } from '../../support/parties.js';
import { capturedValues } from '../../support/plexus-dht.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');
let carol: HostIdentity;

beforeAll(() => {
  carol = makeParty('carol@px.test/pin');
});

const EXTENSION = { caps: ['confirm'], dh: Buffer.alloc(32, 7) };

function seal(more: Partial<SealOptions> = {}) {
  return sealValue({
    app: 'app',
    kind: 'invite',
    host: alice,
    peer: bob,
    reference: REFERENCE,
    now: NOW,
    ...more,
  });
}

function open(bytes: Uint8Array, more: Partial<OpenOptions> = {}) {
  return openValue(
    { form: 'opendht', bytes },
    { app: 'app', kind: 'invite', host: bob, peer: alice, now: NOW, ...more },
  );
}

test('every captured 3.0 value of the real plexus opens with the keys of its run, at any time', () => {
  const values = capturedValues().filter(({ text }) => text.startsWith('PLEXUS 3.0'));
  expect(values).toHaveLength(8);
  const party = { alice, bob };
  for (const { raw, owner, recipient, text, kind } of values) {
    const { dat } = decodeValue(raw);
    const parties = { host: party[recipient], peer: party[owner], kind, app: 'pxapp' };
    const opened = open(dat, { ...parties, now: after(24 * 3600_000) });
    const { endpoint, puzzle } = opened.reference;
    expect(`PLEXUS 3.0 ${endpoint.address} ${endpoint.port} ${puzzle}`).toBe(text);
    expect(opened.extension).toBeUndefined();
    expect(opened.signedAt).toBeUndefined();
  }
});

test('every captured 3.3 and 3.4 value opens with the keys of its run, and says what the real plexus asked for', () => {
  const values = capturedValues().filter(({ text }) => /^PLEXUS 3\.[34]/.test(text));
  expect(values).toHaveLength(8);
  const party = { alice, bob };
  for (const { raw, owner, recipient, kind, text } of values) {
    const parties = { host: party[recipient], peer: party[owner], kind, app: 'pxapp' };
    const { reference } = open(decodeValue(raw).dat, parties);
    expect(encodeReference(reference)).toBe(text);
  }
});

test('the digest is the one that docs/PROTOCOL.md gives for the captured invitation', () => {
  const { raw } = capturedValues()[0]!;
  expect(open(decodeValue(raw).dat, { app: 'pxapp' }).digest).toBe(
    '433de80c5277b66601a5d5f480c9eadf23fbb9d76a51ca151e61ff5ac77cc593',
  );
});

test('what is sealed opens at the peer with the same digest, with and without an extension', () => {
  for (const more of [{}, { extension: EXTENSION }]) {
    const sealed = seal(more);
    const opened = open(sealed.bytes);
    expect(sealed.form).toBe('opendht');
    expect(opened.reference).toEqual(REFERENCE);
    expect(opened.digest).toBe(sealed.digest);
    expect(opened.extension?.caps).toEqual('extension' in more ? ['confirm'] : undefined);
  }
});

test('nothing of text or extension is readable on the way', () => {
  const bytes = Buffer.from(seal({ extension: EXTENSION }).bytes).toString('latin1');
  for (const word of [REFERENCE_TEXT, 'PLEXUS', '203.0.113', 'confirm', bob.cert.fingerprint]) {
    expect(bytes).not.toContain(word);
  }
});

test('a message with an extension is bound to recipient, app, kind and time', () => {
  const { bytes } = seal({ extension: EXTENSION });
  refusal(() => open(bytes, { app: 'other' }), 'MESSAGE_MISDIRECTED');
  refusal(() => open(bytes, { kind: 'accept' }), 'MESSAGE_MISDIRECTED');
  expect(open(bytes, { now: after(SIGNING_TIME_WINDOW_MS) }).digest).toBeTruthy();
  refusal(() => open(bytes, { now: after(SIGNING_TIME_WINDOW_MS + 1000) }), 'MESSAGE_STALE');
  expect(open(bytes, { now: after(-SIGNING_TIME_WINDOW_MS) }).digest).toBeTruthy();
  refusal(() => open(bytes, { now: after(-SIGNING_TIME_WINDOW_MS - 2000) }), 'MESSAGE_STALE');
});

test('only what does not say its time is remembered for more than a year', () => {
  expect(retentionOf(open(seal().bytes))).toBe(SEEN_UNTIMED_RETENTION_MS);
  expect(retentionOf(open(seal({ extension: EXTENSION }).bytes))).toBe(SEEN_RETENTION_MS);
});

test('a value of somebody else opens nothing, whoever it names as its owner', () => {
  const bytes = seal({ host: carol }).bytes;
  refusal(() => open(bytes), 'MESSAGE_NOT_PINNED');
  const { data } = decodeDat(Buffer.from(bytes));
  const forged = signDat({ owner: publicKeyInfo(alice.cert), data }, carol.key);
  refusal(() => open(forged.dat), 'MESSAGE_NOT_PINNED');
});

test('an invitation for somebody else, put under our key, cannot be decrypted', () => {
  const bytes = seal({ peer: carol }).bytes;
  refusal(() => open(bytes), 'MESSAGE_UNDECRYPTABLE');
});

test('what decrypts to no msgpack text is answered as a wrong key is', () => {
  const wrong = (plain: Buffer) =>
    signDat(
      { owner: publicKeyInfo(alice.cert), data: encryptBlob(plain, bob.cert.x509.publicKey) },
      alice.key,
    ).dat;
  const texts = [
    wrong(Buffer.from(REFERENCE_TEXT)),
    wrong(encodeMsgpack(1)),
    wrong(Buffer.alloc(0)),
    wrong(Buffer.concat([encodeMsgpack(REFERENCE_TEXT), Buffer.alloc(1)])),
    signDat({ owner: publicKeyInfo(alice.cert), data: Buffer.alloc(256, 1) }, alice.key).dat,
    seal({ peer: carol }).bytes,
  ].map((bytes) => refusal(() => open(bytes), 'MESSAGE_UNDECRYPTABLE').message);
  expect(new Set(texts).size).toBe(1);
});

test('user types that are not ours mean nothing; one of ours that is broken is an error', () => {
  const body = {
    owner: publicKeyInfo(alice.cert),
    data: encryptBlob(encodeMsgpack(REFERENCE_TEXT), bob.cert.x509.publicKey),
  };
  const typed = (userType: string) => signDat({ ...body, userType }, alice.key).dat;
  expect(open(typed('text/plain')).extension).toBeUndefined();
  expect(open(typed('awl2.later')).extension).toBeUndefined();
  refusal(() => open(typed('awl1.')), 'MESSAGE_UNDECRYPTABLE');
  const junk = encryptBlob(Buffer.from('{}'), bob.cert.x509.publicKey).toString('base64url');
  refusal(() => open(typed(`awl1.${junk}`)), 'MESSAGE_MALFORMED', 'MESSAGE_UNSUPPORTED');
});

test('other forms and bytes are refused, in clear even where plaintext was typed', () => {
  const options = {
    app: 'app',
    kind: 'invite',
    host: bob,
    peer: alice,
    now: NOW,
    allowPlaintext: true,
  } as const;
  const plain = { form: 'plain', bytes: Buffer.from(REFERENCE_TEXT) } as const;
  refusal(() => openValue(plain, options), 'MESSAGE_PLAINTEXT');
  refusal(() => open(Buffer.from(REFERENCE_TEXT)), 'MESSAGE_MALFORMED');
  refusal(() => open(Buffer.alloc(100_000)), 'MESSAGE_TOO_LARGE');
  const bare = { name: { owner: 'a', pin: 'b' } };
  refusal(() => seal({ peer: bare, plaintext: true }), 'IDENTITY_MISSING');
  refusal(() => open(seal().bytes, { peer: bare, allowPlaintext: true }), 'IDENTITY_MISSING');
});

test('one key on both sides is refused before anything is sent or opened', () => {
  refusal(() => seal({ peer: alice }), 'IDENTITY_INVALID');
  refusal(() => open(seal().bytes, { host: alice, peer: alice }), 'MESSAGE_MISDIRECTED');
});

test('certificates that have run out seal and open nothing', () => {
  const old = makeParty('old@px.test/pin', { from: after(-2000), to: after(-1000) });
  refusal(() => seal({ host: old }), 'IDENTITY_EXPIRED');
  refusal(() => seal({ peer: old }), 'IDENTITY_EXPIRED');
  refusal(() => open(seal().bytes, { peer: old }), 'IDENTITY_EXPIRED');
});

test('a letter with its extension is two datagrams long, and the registry of sealings knows how to open it', () => {
  const { bytes } = seal({ extension: EXTENSION });
  expect(bytes.length).toBeLessThan(1700);
  expect(
    sealingOf('opendht').open(
      { form: 'opendht', bytes },
      {
        app: 'app',
        kind: 'invite',
        host: bob,
        peer: alice,
        now: NOW,
      },
    ).reference,
  ).toEqual(REFERENCE);
});
