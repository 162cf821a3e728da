import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MESSAGE_MAX_PARTS } from '../../src/constants.js';
import {
  decodeBase64Body,
  encodeBase64Lines,
  parseEntity,
  parseParameterised,
  splitParts,
  toCrlf,
} from '../../src/wire/mime.js';
import { answersOrRefuses } from '../support/fuzzing.js';

const line = fc.oneof(
  fc.constantFrom(
    'Content-Type: multipart/signed; boundary="b"',
    'Content-Type: multipart/mixed;',
    ' boundary=b',
    'Content-Transfer-Encoding: base64',
    '--b',
    '--b--',
    '',
    'QUJD',
  ),
  fc.string({ maxLength: 20 }),
);
const message = fc
  .tuple(fc.array(line, { maxLength: 30 }), fc.constantFrom('\n', '\r\n', '\r'))
  .map(([lines, eol]) => Buffer.from(lines.join(eol), 'latin1'));

test('any bytes are an entity or refused, and so are their parts', () => {
  fc.assert(
    fc.property(fc.oneof(message, fc.uint8Array({ maxLength: 300 })), (bytes) => {
      answersOrRefuses(
        () => parseEntity(bytes),
        (entity) => {
          expect(entity.body.length).toBeLessThanOrEqual(bytes.length);
          answersOrRefuses(() => decodeBase64Body(entity));
          answersOrRefuses(
            () => splitParts(entity),
            (parts) => {
              expect(parts.length).toBeLessThanOrEqual(MESSAGE_MAX_PARTS);
              expect(parts.reduce((sum, part) => sum + part.length, 0)).toBeLessThan(bytes.length);
            },
          );
        },
      );
    }),
    { numRuns: 10_000 },
  );
});

test('any parameters are read or refused', () => {
  const piece = fc.constantFrom('a/b', ';', '=', '"', '\\', ' ', '\t', 'name', 'x="y"', 'é', '\u0000');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      answersOrRefuses(
        () => parseParameterised(pieces.join('')),
        ({ value }) => expect(value).not.toBe(''),
      );
    }),
    { numRuns: 10_000 },
  );
});

test('parts that are put together come apart as they were', () => {
  const text = fc.string({ unit: fc.constantFrom('-', 'b', 'x', '\r\n', ' '), maxLength: 30 });
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: MESSAGE_MAX_PARTS }), (texts) => {
      const body = texts.map((part) => `--0b0\r\n${part}\r\n`).join('');
      const bytes = Buffer.from(`Content-Type: multipart/mixed; boundary=0b0\r\n\r\n${body}--0b0--\r\n`);
      expect(splitParts(parseEntity(bytes)).map(String)).toEqual(texts);
    }),
    { numRuns: 3_000 },
  );
});

test('base64 and line ends survive the round trip', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const text = `Content-Transfer-Encoding: base64\r\n\r\n${encodeBase64Lines(bytes)}`;
      expect(decodeBase64Body(parseEntity(Buffer.from(text)))).toEqual(Buffer.from(bytes));
      expect(toCrlf(toCrlf(bytes))).toEqual(toCrlf(bytes));
    }),
    { numRuns: 3_000 },
  );
});
