import { expect, test } from 'vitest';
import { decodeReference, encodeReference } from '../../../src/wire/reference.js';
import { REFERENCE, REFERENCE_TEXT, refusal } from '../../support/exchange.js';
import { captured } from '../../support/parties.js';

test('a reference is written byte for byte as plexus writes it', () => {
  expect(encodeReference(REFERENCE)).toBe(REFERENCE_TEXT);
  const text = captured('invite.plain.txt').toString();
  expect(encodeReference(decodeReference(text))).toBe(text.trim());
});

test('any white space between and around the fields is read', () => {
  expect(decodeReference('\r\n \tPLEXUS\t3.0  203.0.113.7\r\n40001\v18364758544493064720\n\n')).toEqual(
    REFERENCE,
  );
});

test('an IPv6 endpoint and the largest puzzle survive the round trip', () => {
  const reference = { endpoint: { address: '2001:db8::1', port: 65_535 }, puzzle: 2n ** 64n - 1n };
  expect(decodeReference(encodeReference(reference))).toEqual(reference);
});

test.each([
  ['', 'nothing'],
  ['PLEXUS', 'no fields'],
  ['plexus 3.0 203.0.113.7 1 1', 'lower case'],
  ['PLEXUS 3.0 203.0.113.7 1', 'no puzzle'],
  ['PLEXUS 3.0 203.0.113.7 1 1 1', 'a field too many'],
  ['PLEXUS 3.0 example.org 1 1', 'a host name'],
  ['PLEXUS 3.0 203.0.113.256 1 1', 'an octet above 255'],
  ['PLEXUS 3.0 fe80::1%eth0 1 1', 'an interface name'],
  ['PLEXUS 3.0 203.0.113.7 0 1', 'port 0'],
  ['PLEXUS 3.0 203.0.113.7 65536 1', 'port above 65535'],
  ['PLEXUS 3.0 203.0.113.7 -1 1', 'a negative port'],
  ['PLEXUS 3.0 203.0.113.7 0x50 1', 'a hexadecimal port'],
  ['PLEXUS 3.0 203.0.113.7 1e3 1', 'an exponent'],
  ['PLEXUS 3.0 203.0.113.7 1 18446744073709551616', 'a puzzle of 65 bits'],
  ['PLEXUS 3.0 203.0.113.7 1 -1', 'a negative puzzle'],
  ['PLEXUS 3.0 203.0.113.7 1 ١', 'a digit of another script'],
  ['PLEXUS\u00a03.0\u00a0203.0.113.7\u00a01\u00a01', 'blanks of another kind'],
  [`PLEXUS 3.0 203.0.113.7 1 1${' '.repeat(2000)}`, 'two thousand blanks'],
])('%j is malformed: %s', (text) => {
  refusal(() => decodeReference(text), 'MESSAGE_MALFORMED');
});

test('a reference with a host name or port 0 cannot be sent', () => {
  refusal(
    () => encodeReference({ endpoint: { address: 'localhost', port: 1 }, puzzle: 1n }),
    'MESSAGE_MALFORMED',
  );
  refusal(
    () => encodeReference({ endpoint: { address: '203.0.113.7', port: 0 }, puzzle: 1n }),
    'MESSAGE_MALFORMED',
  );
});

test.each([
  [
    'PLEXUS 3.3 20261121T072702.470734 203.0.113.10:5001 10000011 0.0.0.0:0 00000000 udp:mutual 7',
    'udp:mutual',
  ],
  [
    'PLEXUS 3.4 20261121T072702 203.0.113.10:5001 10000011 0.0.0.0:0 either 203.0.113.10:5001 10000011 203.0.113.23:5 bridge any:either 7',
    'any:either',
  ],
])('a newer plexus is told what it asks for and what to change: %s', (text, qos) => {
  const error = refusal(() => decodeReference(text), 'MESSAGE_UNSUPPORTED');
  expect(error.message).toContain(qos);
  expect(error.hint).toContain('udp:either');
});

test('text of the peer does not reach the error message', () => {
  const error = refusal(
    () => decodeReference('PLEXUS 3.3 t 203.0.113.10:5001 1 0.0.0.0:0 0 evil\u001b[31m 7'),
    'MESSAGE_UNSUPPORTED',
  );
  expect(error.message).not.toContain('evil');
});
