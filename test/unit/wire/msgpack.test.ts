import { expect, test } from 'vitest';
import {
  decodeMsgpack,
  encodeMsgpack,
  type Msgpack,
  Packed,
  splitArray,
  splitMap,
} from '../../../src/wire/msgpack.js';
import { refusal } from '../../support/exchange.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytes = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

const SHORTEST: readonly [Msgpack, string][] = [
  [null, 'c0'],
  [true, 'c3'],
  [false, 'c2'],
  [0, '00'],
  [127, '7f'],
  [128, 'cc80'],
  [255, 'ccff'],
  [256, 'cd0100'],
  [65_535, 'cdffff'],
  [65_536, 'ce00010000'],
  [0xffff_ffff, 'ceffffffff'],
  [0x1_0000_0000, 'cf0000000100000000'],
  [18446744073709551615n, 'cfffffffffffffffff'],
  ['abc', 'a3616263'],
  ['x'.repeat(31), `bf${'78'.repeat(31)}`],
  ['x'.repeat(32), `d920${'78'.repeat(32)}`],
  [Buffer.from([1, 2]), 'c4020102'],
  [[1, 'a'], '9201a161'],
  [{ a: 1, b: undefined, c: [] }, '82a16101a16390'],
  [new Map([[0, 'x']]), '8100a178'],
  [{ raw: new Packed(Buffer.from([0xc0])) }, '81a3726177c0'],
];

test('values are written in the fewest bytes, as OpenDHT signs them', () => {
  for (const [value, text] of SHORTEST) expect(hex(encodeMsgpack(value))).toBe(text);
});

test('long strings, binaries, arrays and maps take the width that they need', () => {
  expect(hex(encodeMsgpack('x'.repeat(256)).subarray(0, 3))).toBe('da0100');
  expect(hex(encodeMsgpack(Buffer.alloc(256)).subarray(0, 3))).toBe('c50100');
  expect(hex(encodeMsgpack(Buffer.alloc(65_536)).subarray(0, 5))).toBe('c600010000');
  expect(hex(encodeMsgpack(Array.from({ length: 16 }, () => 0)).subarray(0, 3))).toBe('dc0010');
  const map = new Map(Array.from({ length: 16 }, (_, i) => [i, 0] as const));
  expect(hex(encodeMsgpack(map).subarray(0, 3))).toBe('de0010');
});

test('numbers that OpenDHT has no use for are not written', () => {
  for (const wrong of [-1, 1.5, 2n ** 64n, Number.NaN])
    expect(() => encodeMsgpack(wrong)).toThrow(RangeError);
});

test.each([
  ['e0', -32],
  ['d0 80', -128],
  ['d3 ffffffffffffffff', -1],
  ['cf 001fffffffffffff', Number.MAX_SAFE_INTEGER],
  ['cf 0020000000000000', BigInt(2 ** 53)],
  ['ca 3fc00000', 1.5],
  ['cb 3ff8000000000000', 1.5],
  ['ce 00000001', 1],
  ['db 00000001 61', 'a'],
  ['dd 00000001 c0', [null]],
])('%s reads as what it means, also where a shorter spelling exists', (text, value) => {
  expect(decodeMsgpack(bytes(text))).toEqual(value);
});

test.each([
  ['nothing', ''],
  ['a cut string', 'a5 6162'],
  ['a cut number', 'cd 01'],
  ['something behind it', '01 01'],
  ['an extension type', 'd4 00 00'],
  ['the byte that is never used', 'c1'],
  ['an array of four thousand million items', 'dd ffffffff 01'],
  ['a map that claims more than there is', 'df 7fffffff 01 01'],
  ['a binary of four gigabytes', 'c6 ffffffff 00'],
  ['nine nested arrays and more', '91 91 91 91 91 91 91 91 91 91 01'],
])('%s is refused', (_what, text) => {
  refusal(() => decodeMsgpack(bytes(text)), 'MESSAGE_MALFORMED');
});

test('a map is split without touching its members: signatures cover their bytes as they came', () => {
  // The number 1 is spelt in two bytes, which no encoder of ours does.
  const members = splitMap(bytes('82 a161 cc01 a162 c40102'));
  expect([...members].map(([name, raw]) => [name, hex(raw)])).toEqual([
    ['a', 'cc01'],
    ['b', 'c40102'],
  ]);
});

test('a name that comes twice is refused: two readers could take different ones', () => {
  refusal(() => splitMap(bytes('82 a161 01 a161 02')), 'MESSAGE_MALFORMED');
});

test('members whose key is no string are left out, and a map is no array', () => {
  expect([...splitMap(bytes('82 01 02 a161 03')).keys()]).toEqual(['a']);
  expect(splitArray(bytes('92 01 a161')).map(hex)).toEqual(['01', 'a161']);
  refusal(() => splitMap(bytes('92 01 a161')), 'MESSAGE_MALFORMED');
  refusal(() => splitArray(bytes('80')), 'MESSAGE_MALFORMED');
});

test('deep nesting is skipped over in a split, at the cost of its bytes only', () => {
  const deep = Buffer.concat([bytes('81 a161'), Buffer.alloc(50_000, 0x91), bytes('01')]);
  expect(splitMap(deep).get('a')).toHaveLength(50_001);
  refusal(() => decodeMsgpack(deep), 'MESSAGE_MALFORMED');
});

test('a member named like something of Object is a member like any other', () => {
  const members = splitMap(encodeMsgpack(new Map([['__proto__', 1]])));
  expect(members.get('__proto__')).toEqual(Buffer.from([1]));
  expect(decodeMsgpack(encodeMsgpack(new Map([['constructor', 2]])))).toEqual(new Map([['constructor', 2]]));
});
