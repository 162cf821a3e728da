import { expect, test } from 'vitest';
import { MESSAGE_MAX_BYTES } from '../../../src/constants.js';
import {
  decodeBase64Body,
  encodeBase64Lines,
  parseEntity,
  parseParameterised,
  splitParts,
  toCrlf,
} from '../../../src/wire/mime.js';
import { refusal } from '../../support/exchange.js';

function entity(...lines: string[]) {
  return parseEntity(Buffer.from(lines.join('\r\n'), 'latin1'));
}

function parts(...lines: string[]): string[] {
  return splitParts(entity('Content-Type: multipart/mixed; boundary=b', '', ...lines)).map((part) =>
    part.toString(),
  );
}

test('headers are unfolded, found in any case and end at the first empty line, LF or CRLF', () => {
  for (const eol of ['\n', '\r\n']) {
    const read = parseEntity(
      Buffer.from(['CONTENT-type: a/B;', '\tx=1', 'Subject:  hi ', '', 'A: b', ''].join(eol)),
    );
    expect(read.type).toEqual({ value: 'a/b', parameters: new Map([['x', '1']]) });
    expect(read.headers.get('subject')).toBe('hi');
    expect(read.body.toString()).toBe(`A: b${eol}`);
  }
});

test('an entity without Content-Type is plain text', () => {
  expect(entity('', 'text').type.value).toBe('text/plain');
});

test.each([
  ['no empty line', ['A: b', 'C: d']],
  ['no name', ['no colon here', '', '']],
  ['a blank in the name', ['A b: c', '', '']],
  ['a fold before any header', [' folded', '', '']],
  ['two content types', ['Content-Type: a/b', 'content-type: c/d', '', '']],
  ['an empty content type', ['Content-Type: ', '', '']],
  ['an open quote', ['Content-Type: a/b; x="y', '', '']],
])('%s is malformed', (_what, lines) => {
  refusal(() => entity(...lines), 'MESSAGE_MALFORMED');
});

test('headers beyond 32 kB and messages beyond the cap are refused', () => {
  refusal(() => entity(`X: ${'x'.repeat(33_000)}`, '', ''), 'MESSAGE_MALFORMED');
  refusal(() => parseEntity(Buffer.alloc(MESSAGE_MAX_BYTES + 1)), 'MESSAGE_TOO_LARGE');
});

test('parameters are read quoted and bare, with escapes, a final semicolon and blanks', () => {
  expect(parseParameterised('multipart/signed ; Boundary="a \\"b\\"" ;micalg=sha-256; ')).toEqual({
    value: 'multipart/signed',
    parameters: new Map([
      ['boundary', 'a "b"'],
      ['micalg', 'sha-256'],
    ]),
  });
  refusal(() => parseParameterised('a/b; x=1; X=2'), 'MESSAGE_MALFORMED');
  refusal(() => parseParameterised('a/b x'), 'MESSAGE_MALFORMED');
});

test('parts end before the line end that precedes a delimiter; preamble and epilogue are dropped', () => {
  expect(parts('preamble', '--b', 'one', '', '--b \t', '--b', 'two', '--b--', '--b', 'epilogue')).toEqual([
    'one\r\n',
    '',
    'two',
  ]);
});

test('a line that only begins like a delimiter is content', () => {
  expect(parts('--b', '--bb', '--b-', '--b--x', ' --b', '--b--')).toEqual(['--bb\r\n--b-\r\n--b--x\r\n --b']);
});

test.each([
  ['no end', ['--b', 'x', '--b', '']],
  ['no delimiter', ['x', '']],
  ['nine parts', [...Array.from({ length: 9 }, () => '--b'), '--b--', '']],
])('a multipart with %s is malformed', (_what, lines) => {
  refusal(() => parts(...lines), 'MESSAGE_MALFORMED');
});

test('a multipart without a boundary, or with an endless one, is malformed', () => {
  refusal(() => splitParts(entity('Content-Type: multipart/mixed', '', '--', '')), 'MESSAGE_MALFORMED');
  refusal(
    () => splitParts(entity(`Content-Type: multipart/mixed; boundary=${'b'.repeat(257)}`, '', '')),
    'MESSAGE_MALFORMED',
  );
});

test('base64 is read strictly, and only if it is said to be base64', () => {
  const read = (text: string, encoding = 'Base64') =>
    decodeBase64Body(entity(`Content-Transfer-Encoding: ${encoding}`, '', text)).toString();
  expect(read('aGVs\r\nbG8=\r\n\r\n')).toBe('hello');
  for (const text of ['aGVsbG8', 'aGVs*G8=', 'aGVs-G8=', 'aG=sbG8=', '====']) {
    refusal(() => read(text), 'MESSAGE_MALFORMED');
  }
  refusal(() => read('aGVs', '7bit'), 'MESSAGE_MALFORMED');
  refusal(() => decodeBase64Body(entity('', 'aGVs')), 'MESSAGE_MALFORMED');
});

test('base64 is written in lines of 64', () => {
  const lines = encodeBase64Lines(Buffer.alloc(100)).split('\r\n');
  expect(lines.map((line) => line.length)).toEqual([64, 64, 8, 0]);
});

test('line ends become CRLF once', () => {
  expect(toCrlf(Buffer.from('a\nb\r\nc\r\r\n')).toString()).toBe('a\r\nb\r\nc\r\r\n');
});
