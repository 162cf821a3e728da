import { expect, test } from 'vitest';
import { compact, expand } from '../../../../src/rendezvous/hyperdht/compact.js';
import { invitation } from '../../../support/exchange.js';
import { makeParty } from '../../../support/parties.js';

const back = (bytes: Uint8Array) => expand(compact(bytes));

test('a sealed letter shrinks to its DER and comes back bit for bit', () => {
  const { bytes } = invitation(makeParty('alice@x/a'), makeParty('bob@x/b'), {
    extension: { caps: ['confirm'] },
  });
  const packed = compact(bytes);
  // Base64 in lines is 66 characters for 48 bytes.
  expect(packed.length).toBeLessThan(bytes.length * 0.73);
  expect(expand(packed)?.equals(Buffer.from(bytes))).toBe(true);
});

test('an entity with another head keeps that head', () => {
  const body = Buffer.alloc(500, 7).toString('base64').replace(/.{64}/g, '$&\r\n');
  const bytes = Buffer.from(`Content-Type: application/pkcs7-mime\r\n\r\n${body}\r\n`);
  const packed = compact(bytes);
  expect(packed.length).toBeLessThan(560);
  expect(expand(packed)?.equals(bytes)).toBe(true);
});

test.each([
  ['line ends are LF', 'A: b\n\naGVsbG8=\n'],
  ['lines have another length', 'A: b\r\n\r\naGVs\r\nbG8=\r\n'],
  ['the base64 is not what an encoder writes', 'A: b\r\n\r\naGVsbG9=\r\n'],
  ['nothing is encoded', 'PLEXUS 3.0 192.0.2.1 5000 1'],
  ['there is more than one empty line', 'A: b\r\n\r\naGVsbG8=\r\n\r\n'],
  ['there is only a head', 'A: b\r\n\r\n'],
  ['the head is huge', `A: ${'b'.repeat(5000)}\r\n\r\naGVsbG8=\r\n`],
  ['there is nothing', ''],
])('what could not be made again is carried as it is: %s', (_why, text) => {
  const bytes = Buffer.from(text, 'latin1');
  expect(back(bytes)?.equals(bytes)).toBe(true);
});

test('what nobody packed is refused', () => {
  for (const bad of [[], [3], [255, 1, 2], [2], [2, 0], [2, 0xff, 0xff, 1], [2, 0, 9, 1]]) {
    expect(expand(Buffer.from(bad))).toBeUndefined();
  }
});
