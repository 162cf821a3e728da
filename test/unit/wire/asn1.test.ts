import { expect, test } from 'vitest';
import { EXTENSION_OID } from '../../../src/constants.js';
import {
  decodeTime,
  der,
  encodeOid,
  encodeTime,
  octetString,
  readBer,
  sequence,
  setOf,
  smallInteger,
  TAG,
} from '../../../src/wire/asn1.js';
import { refusal } from '../../support/exchange.js';

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

test('an OID with a 128-bit arc is written whole', () => {
  const oid = encodeOid(EXTENSION_OID);
  // The arcs again, from the octets: 2.25 is 105.
  const arcs = [...oid.subarray(3)].reduce((sum, octet) => (sum << 7n) | BigInt(octet & 0x7f), 0n);
  expect(oid[2]).toBe(105);
  expect(`2.25.${arcs}`).toBe(EXTENSION_OID);
  expect(arcs.toString(16)).toBe('d8fe5cab6ce4da9878439bafe0bfb16');
  expect(encodeOid('1.2.840.113549.1.7.2')).toEqual(hex('06092a864886f70d010702'));
});

test('DER lengths are the shortest that fit', () => {
  expect(der(TAG.OCTET_STRING, Buffer.alloc(127)).subarray(0, 2)).toEqual(hex('047f'));
  expect(der(TAG.OCTET_STRING, Buffer.alloc(128)).subarray(0, 3)).toEqual(hex('048180'));
  expect(der(TAG.OCTET_STRING, Buffer.alloc(65_536)).subarray(0, 5)).toEqual(hex('0483010000'));
});

test('a set is sorted by encoding', () => {
  expect(setOf(hex('0403010101'), hex('020102'), hex('020101'))).toEqual(
    hex('310b 020101 020102 0403010101'),
  );
});

test('indefinite lengths and chunked octet strings are read', () => {
  const node = readBer(hex('3080 020101 2480 0402 6162 0401 63 0000 0000'));
  expect(node.children).toHaveLength(2);
  expect(octetString(node.children[1], TAG.OCTET_STRING, 'text').toString()).toBe('abc');
  expect(readBer(sequence(smallInteger(5))).children[0]?.value).toEqual(hex('05'));
});

test.each([
  ['nothing', ''],
  ['a tag alone', '30'],
  ['a value that is cut', '0405 6162'],
  ['a child longer than its parent', '3003 0405 61'],
  ['bytes after the end', '0500 00'],
  ['a primitive of indefinite length', '0480 0000'],
  ['no end of an indefinite length', '3080 0500'],
  ['a length of five octets', '0485 0000000001 61'],
  ['a multi-octet tag', '1f8101 00'],
])('%s is malformed', (_what, bytes) => {
  refusal(() => readBer(hex(bytes)), 'MESSAGE_MALFORMED');
});

test('a value nested a thousand times, definite or not, is refused without recursion to match', () => {
  let definite: Buffer = der(TAG.NULL);
  for (let i = 0; i < 1000; i++) definite = sequence(definite);
  refusal(() => readBer(definite), 'MESSAGE_MALFORMED');
  refusal(() => readBer(Buffer.from('3080'.repeat(30_000), 'hex')), 'MESSAGE_MALFORMED');
});

test('thirty thousand empty values are refused', () => {
  refusal(() => readBer(der(TAG.SEQUENCE, Buffer.from('0500'.repeat(30_000), 'hex'))), 'MESSAGE_MALFORMED');
});

test('chunks inside chunks are refused: nobody writes them, and they cost', () => {
  const node = readBer(hex('2480 2480 040161 0000 0000'));
  refusal(() => octetString(node, TAG.OCTET_STRING, 'text'), 'MESSAGE_MALFORMED');
});

test.each([
  '1950-01-01T00:00:00Z',
  '2026-11-21T07:21:06Z',
  '2049-12-31T23:59:59Z',
  '2050-01-01T00:00:00Z',
  '9999-12-31T23:59:59Z',
])('the time %s survives the round trip', (time) => {
  expect(decodeTime(readBer(encodeTime(new Date(time))))).toEqual(new Date(time));
});

test.each([
  '261301000000Z',
  '260231000000Z',
  '261121072106+0100',
  '2611210721Z',
  '26112107210',
  '261121246060Z',
])('the UTCTime %s is refused', (text) => {
  refusal(() => decodeTime(readBer(der(TAG.UTC_TIME, Buffer.from(text)))), 'MESSAGE_MALFORMED');
});

test('a time that is no time type is refused', () => {
  refusal(
    () => decodeTime(readBer(der(TAG.OCTET_STRING, Buffer.from('261121072106Z')))),
    'MESSAGE_MALFORMED',
  );
  refusal(() => decodeTime(undefined), 'MESSAGE_MALFORMED');
});
