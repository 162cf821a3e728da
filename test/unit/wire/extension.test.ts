import { expect, test } from 'vitest';
import { EXTENSION_MAX_BYTES } from '../../../src/constants.js';
import { decodeExtension, type Extension, encodeExtension } from '../../../src/wire/extension.js';
import { UNMEASURED } from '../../../src/wire/nat-report.js';
import { refusal } from '../../support/exchange.js';

const TO = 'ab'.repeat(32);
const FULL: Extension = {
  v: 1,
  kind: 'accept',
  app: 'ssh',
  to: TO,
  exp: 1_795_245_666,
  re: 'cd'.repeat(32),
  dh: Buffer.alloc(32, 7),
  cand: [
    { type: 'srflx', endpoint: { address: '203.0.113.7', port: 40_001 } },
    { type: 'host', endpoint: { address: '2001:db8::1', port: 1 } },
  ],
  fresh: [{ address: '203.0.113.7', port: 40_002 }],
  nat: {
    nat: 'yes',
    mapping: 'address-and-port-dependent',
    filtering: 'address-dependent',
    hairpin: 'no',
    portPreservation: 'not-measured',
    portStep: -2,
  },
  caps: ['confirm'],
};
const LEAST = { v: 1, kind: 'invite', app: 'a', to: TO, exp: 0 };

const json = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

test('the text is the one that docs/PROTOCOL.md shows', () => {
  expect(encodeExtension(FULL).toString()).toBe(
    `{"v":1,"kind":"accept","app":"ssh","to":"${TO}","exp":1795245666,"re":"${'cd'.repeat(32)}",` +
      '"dh":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc","cand":[{"t":"srflx","a":"203.0.113.7:40001"},' +
      '{"t":"host","a":"[2001:db8::1]:1"}],"fresh":["203.0.113.7:40002"],"nat":"ypan--2","caps":["confirm"]}',
  );
});

test('everything survives the round trip, and so does the least', () => {
  expect(decodeExtension(encodeExtension(FULL))).toEqual(FULL);
  expect(decodeExtension(json(LEAST))).toEqual({ ...LEAST, cand: [], caps: [] });
  const unmeasured: Extension = { ...FULL, nat: UNMEASURED };
  expect(decodeExtension(encodeExtension(unmeasured)).nat).toEqual(UNMEASURED);
});

test('unknown keys are ignored, also those that JavaScript knows', () => {
  const text = `${JSON.stringify(LEAST).slice(0, -1)},"later":[1],"__proto__":{"re":"x"},"toString":1}`;
  expect(decodeExtension(json(text))).toEqual({ ...LEAST, cand: [], caps: [] });
});

test('fields are not taken from a prototype that the peer sends', () => {
  refusal(() => decodeExtension(json(`{"__proto__":${JSON.stringify(LEAST)}}`)), 'MESSAGE_MALFORMED');
});

test('another version names both versions', () => {
  const error = refusal(() => decodeExtension(json({ ...LEAST, v: 2 })), 'MESSAGE_UNSUPPORTED');
  expect(error.message).toMatch(/2.*1/);
});

test.each([
  ['not JSON', '{'],
  ['a list', '[]'],
  ['null', 'null'],
  ['a byte order mark', `\ufeff${JSON.stringify(LEAST)}`],
  ['v a string', { ...LEAST, v: '1' }],
  ['fresh without a port', { ...LEAST, fresh: ['203.0.113.7'] }],
  ['fresh with port 0', { ...LEAST, fresh: ['203.0.113.7:0'] }],
  ['five fresh endpoints', { ...LEAST, fresh: new Array(5).fill('203.0.113.7:4000') }],
  ['no v', { ...LEAST, v: undefined }],
  ['kind advent', { ...LEAST, kind: 'advent' }],
  ['no app', { ...LEAST, app: '' }],
  ['a line end in app', { ...LEAST, app: 'a\nb' }],
  ['half a character in app', '{"v":1,"kind":"invite","app":"\\ud800","to":"'.concat(TO, '","exp":0}')],
  ['an app of 129 characters', { ...LEAST, app: 'a'.repeat(129) }],
  ['an upper-case fingerprint', { ...LEAST, to: TO.toUpperCase() }],
  ['a short fingerprint', { ...LEAST, to: TO.slice(2) }],
  ['exp a string', { ...LEAST, exp: '0' }],
  ['exp a fraction', { ...LEAST, exp: 0.5 }],
  ['exp negative', { ...LEAST, exp: -1 }],
  ['exp beyond year 9999', { ...LEAST, exp: 253_402_300_800 }],
  ['re null', { ...LEAST, re: null }],
  ['dh of 31 octets', { ...LEAST, dh: Buffer.alloc(31).toString('base64url') }],
  ['dh spelt in two ways', { ...LEAST, dh: 'BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwd' }],
  ['cand no list', { ...LEAST, cand: {} }],
  [
    'seventeen candidates',
    { ...LEAST, cand: Array.from({ length: 17 }, () => ({ t: 'host', a: '192.0.2.1:1' })) },
  ],
  ['a candidate of unknown type', { ...LEAST, cand: [{ t: 'best', a: '192.0.2.1:1' }] }],
  ['a candidate with a name', { ...LEAST, cand: [{ t: 'host', a: 'localhost:1' }] }],
  ['a candidate with port 0', { ...LEAST, cand: [{ t: 'host', a: '192.0.2.1:0' }] }],
  ['a candidate that is a list', { ...LEAST, cand: [['host', '192.0.2.1:1']] }],
  ['a NAT report of four characters', { ...LEAST, nat: 'yip-' }],
  ['a NAT report with a huge step', { ...LEAST, nat: 'yip-y+65536' }],
  ['a NAT report that is an object', { ...LEAST, nat: {} }],
  ['seventeen capabilities', { ...LEAST, caps: Array.from({ length: 17 }, () => 'a') }],
  ['a capability in upper case', { ...LEAST, caps: ['Confirm'] }],
  ['a capability that is a number', { ...LEAST, caps: [1] }],
])('%s is malformed', (_what, value) => {
  refusal(() => decodeExtension(json(value)), 'MESSAGE_MALFORMED');
});

test('bytes that are no UTF-8 are malformed', () => {
  const bytes = json(LEAST);
  bytes[bytes.indexOf('"a"') + 1] = 0xff;
  refusal(() => decodeExtension(bytes), 'MESSAGE_MALFORMED');
});

test('what is too long is refused before it is parsed', () => {
  refusal(() => decodeExtension(Buffer.alloc(EXTENSION_MAX_BYTES + 1, '[')), 'MESSAGE_TOO_LARGE');
  refusal(() => decodeExtension(Buffer.alloc(EXTENSION_MAX_BYTES, '[')), 'MESSAGE_MALFORMED');
});

test('nothing is written that our own reader would refuse', () => {
  refusal(() => encodeExtension({ ...FULL, app: '' }), 'MESSAGE_MALFORMED');
  refusal(() => encodeExtension({ ...FULL, dh: Buffer.alloc(31) }), 'MESSAGE_MALFORMED');
});
