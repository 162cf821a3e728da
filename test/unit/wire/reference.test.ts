import { readFileSync } from 'node:fs';
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

const TCP_33 =
  'PLEXUS 3.3 20261121T072702.470734 203.0.113.10:6492 10000011 203.0.113.10:6493 10000011 tcp:client 12588611870606429031';

test.each([
  'v341-invite_v314-accept',
  'v314-invite_v341-accept',
  'v341-tcp-3.3',
  'v341-tcp-mutual-no-udp-3.3',
  'v341-udp-mutual-3.3',
  'v341-relay-3.4',
])('the texts of a captured session are written as the real plexus wrote them: %s', (run) => {
  const url = new URL(`../../fixtures/plexus/dht/values-${run}.json`, import.meta.url);
  const { values } = JSON.parse(readFileSync(url, 'utf8')) as { values: { text: string }[] };
  expect(values).toHaveLength(2);
  for (const { text } of values) expect(encodeReference(decodeReference(text))).toBe(text);
});

test('a 3.3 text says everything', () => {
  const nat = {
    nat: true,
    hairpin: false,
    randomPort: false,
    variableAddress: false,
    mapping: 'independent',
    filtering: 'address-and-port-dependent',
  };
  expect(decodeReference(TCP_33)).toEqual({
    endpoint: { address: '203.0.113.10', port: 6492 },
    puzzle: 12588611870606429031n,
    terms: {
      time: Date.parse('2026-11-21T07:27:02Z') * 1000 + 470_734,
      udp: { endpoint: { address: '203.0.113.10', port: 6492 }, nat, route: 'direct' },
      tcp: { endpoint: { address: '203.0.113.10', port: 6493 }, nat, route: 'direct' },
      qos: { proto: 'tcp', role: 'client' },
    },
  });
});

test('a whole second is written without its fraction', () => {
  const text = TCP_33.replace('.470734', '');
  expect(encodeReference(decodeReference(text))).toBe(text);
});

test.each([
  ['T072702', 'T072760', 'a second too many'],
  ['20261121T', '20260231T', 'the 31st of February'],
  ['.470734', '.47073', 'a fraction of five digits'],
  ['203.0.113.10:6492', '203.0.113.10:0', 'port 0'],
  ['203.0.113.10:6493', 'example.org:6493', 'a host name'],
  ['10000011 tcp', '1000001 tcp', 'seven digits'],
  ['10000011 tcp', '10000012 tcp', 'a digit of two'],
  ['tcp:client', 'tcp:clients', 'an unknown role'],
  ['tcp:client', 'sctp:client', 'an unknown protocol'],
  ['tcp:client', 'tcp:client:', 'a third part'],
  ['tcp:client', 'tcp:client 0', 'a field too many'],
  ['PLEXUS 3.3', 'PLEXUS 3.4', 'too few fields for its version'],
])('a 3.3 text with %j for %j is malformed: %s', (from, to) => {
  refusal(() => decodeReference(TCP_33.replace(from, to)), 'MESSAGE_MALFORMED');
});

test('a version that nobody knows is named', () => {
  expect(refusal(() => decodeReference('PLEXUS 4.0 a b c'), 'MESSAGE_UNSUPPORTED').message).toContain('4.0');
});

test('text of the peer does not reach the error message', () => {
  const evil = TCP_33.replace('tcp:client', 'evil\u001b[31m');
  expect(refusal(() => decodeReference(evil), 'MESSAGE_MALFORMED').message).not.toContain('evil');
});
