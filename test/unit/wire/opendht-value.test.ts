import { expect, test } from 'vitest';
import { publicKeyInfo } from '../../../src/identity/x509.js';
import { encodeMsgpack, Packed } from '../../../src/wire/msgpack.js';
import {
  decodeDat,
  decodeValue,
  encodeValue,
  identityId,
  isSigned,
  letterKey,
  signDat,
} from '../../../src/wire/opendht-value.js';
import { refusal } from '../../support/exchange.js';
import { capturedParty, makeParty } from '../../support/parties.js';
import { capturedValues } from '../../support/plexus-dht.js';

const alice = capturedParty('alice');
const bob = capturedParty('bob');
const party = { alice, bob };
const info = { alice: publicKeyInfo(alice.cert), bob: publicKeyInfo(bob.cert) };

test('the id of an identity and the key of its letters are those that plexus computes', () => {
  expect(identityId(info.bob).toString('hex')).toBe('c78df5f0cb5aa7ba071fa2961bc97378e3bb5a1c');
  expect(letterKey(info.bob, 'pxapp', 'invite').toString('hex')).toBe(
    'f5310242521ffd4b4353ebd76ac805ed900a7400',
  );
});

test('every captured value of the real plexus reads, verifies, and is written again byte for byte', () => {
  const values = capturedValues();
  expect(values.length).toBeGreaterThanOrEqual(16);
  for (const { raw, valueId, owner, recipient, key, kind } of values) {
    const value = decodeValue(raw);
    expect(value.id).toBe(valueId);
    const dat = decodeDat(value.dat);
    expect(dat.owner).toEqual(info[owner]);
    expect(isSigned(dat)).toBe(true);
    expect(letterKey(info[recipient], 'pxapp', kind).toString('hex')).toBe(key);
    expect(encodeValue(value)).toEqual(raw);
    // RSASSA-PKCS1-v1_5 is deterministic: the same content under the same key is the same bytes.
    const again = signDat({ owner: dat.owner, data: dat.data }, party[owner].key);
    expect(again.dat).toEqual(value.dat);
    expect(again.body).toEqual(dat.body);
  }
});

test('one flipped bit anywhere in a signed value breaks its signature or its form', () => {
  const { raw } = capturedValues()[0]!;
  const { dat } = decodeValue(raw);
  for (let at = 0; at < dat.length; at++) {
    const bad = Buffer.from(dat);
    bad[at]! ^= 1 << (at % 8);
    let signed = false;
    try {
      signed = isSigned(decodeDat(bad));
    } catch (error) {
      expect(error).toMatchObject({ code: 'MESSAGE_MALFORMED' });
    }
    expect(signed, `byte ${at}`).toBe(false);
  }
});

test('the signature covers the bytes as they came, not what they mean', () => {
  const { dat } = signDat({ owner: info.alice, data: Buffer.from('x') }, alice.key);
  const { body, signature, owner, data } = decodeDat(dat);
  const reordered = encodeMsgpack({ owner, seq: 0, type: 0, data });
  const other = encodeMsgpack({ body: new Packed(reordered), sig: signature });
  expect(isSigned(decodeDat(other))).toBe(false);
  expect(body).not.toEqual(reordered);
});

test('the user type travels under the signature, last, and only where there is one', () => {
  const bare = { owner: info.alice, data: Buffer.from('x') };
  const typed = signDat({ ...bare, userType: 'text/plain' }, alice.key);
  expect(decodeDat(typed.dat).userType).toBe('text/plain');
  expect(typed.body.toString('latin1').endsWith('\xa5utype\xaatext/plain')).toBe(true);
  for (const body of [bare, { ...bare, userType: '' }]) {
    expect(signDat(body, alice.key).body.includes('utype')).toBe(false);
  }
});

test('a key that is not RSA has not signed, whatever the bytes say', () => {
  const ec = makeParty('ec@px.test/pin', { type: 'ec' });
  const { dat } = signDat({ owner: publicKeyInfo(ec.cert), data: Buffer.from('x') }, ec.key);
  expect(isSigned(decodeDat(dat))).toBe(false);
});

test.each([
  ['id 0', { id: 0, dat: {} }],
  ['an id that is text', { id: '1', dat: {} }],
  ['no dat', { id: 1 }],
  ['no map', [1, 2]],
])('a value with %s is refused', (_what, value) => {
  refusal(() => decodeValue(encodeMsgpack(value)), 'MESSAGE_MALFORMED');
});

test('a value beyond 64 kB is refused before it is looked at', () => {
  refusal(() => decodeValue(Buffer.alloc(64 * 1024 + 1)), 'MESSAGE_TOO_LARGE');
});

const good = { seq: 0, owner: Buffer.from('o'), type: 0, data: Buffer.from('d') };
test.each([
  ['an encrypted value', Buffer.from('cypher')],
  ['no signature', { body: good }],
  ['no owner', { body: { ...good, owner: undefined }, sig: Buffer.from('s') }],
  ['an owner that is text', { body: { ...good, owner: 'o' }, sig: Buffer.from('s') }],
  ['a certificate', { body: { ...good, type: 8 }, sig: Buffer.from('s') }],
  ['a seq beyond 16 bits', { body: { ...good, seq: 65_536 }, sig: Buffer.from('s') }],
  ['a user type that is a number', { body: { ...good, utype: 1 }, sig: Buffer.from('s') }],
])('what is %s is no letter', (_what, dat) => {
  refusal(() => decodeDat(encodeMsgpack(dat)), 'MESSAGE_MALFORMED');
});
