import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { MESSAGE_MAX_BYTES } from '../../../../src/constants.js';
import {
  decodeKnock,
  decodeReply,
  encodeKnock,
  encodeReply,
  splitBox,
} from '../../../../src/rendezvous/hyperdht/knock.js';
import {
  DHT_FRAGMENT_BYTES,
  DHT_FRAGMENTS_MAX,
  DHT_PAYLOAD_BYTES,
} from '../../../../src/rendezvous/hyperdht/limits.js';

const gate = randomBytes(16);
const id = randomBytes(16);

test('every knock and reply comes back as it was, and fits its datagram', () => {
  const bytes = randomBytes(DHT_FRAGMENT_BYTES);
  const knocks = [
    { op: 'fragment', gate, id, hold: true, index: 0, count: 2, bytes },
    { op: 'fragment', gate, id, hold: false, index: 72, count: 73, bytes: randomBytes(1) },
    { op: 'poll', gate, id, hold: true, index: 3 },
    { op: 'echo', gate, id },
  ] as const;
  for (const knock of knocks) {
    expect(decodeKnock(encodeKnock(knock))).toEqual(knock);
    expect(encodeKnock(knock).length).toBeLessThanOrEqual(DHT_PAYLOAD_BYTES);
  }
  const replies = [
    { op: 'incomplete' },
    { op: 'waiting' },
    { op: 'echo' },
    { op: 'answer', index: 1, count: 3, bytes },
  ] as const;
  for (const reply of replies) {
    expect(decodeReply(encodeReply(reply))).toEqual(reply);
    expect(encodeReply(reply).length).toBeLessThanOrEqual(DHT_PAYLOAD_BYTES);
  }
});

test('the largest message and its names fit into the fragments', () => {
  expect(DHT_FRAGMENTS_MAX * DHT_FRAGMENT_BYTES).toBeGreaterThan(MESSAGE_MAX_BYTES + 4 * 65 + 60);
  const box = randomBytes(2 * DHT_FRAGMENT_BYTES + 1);
  const parts = splitBox(box);
  expect(parts.map(({ length }) => length)).toEqual([DHT_FRAGMENT_BYTES, DHT_FRAGMENT_BYTES, 1]);
  expect(Buffer.concat(parts).equals(box)).toBe(true);
  expect(splitBox(randomBytes(2 * DHT_FRAGMENT_BYTES))).toHaveLength(2);
});

test.each([
  ['index beyond the count', 2, 2, 10],
  ['no fragments at all', 0, 0, 10],
  ['too many fragments', 0, 200, DHT_FRAGMENT_BYTES],
  ['a short one in the middle', 0, 2, 10],
  ['an empty last one', 1, 2, 0],
  ['a long one', 0, 1, DHT_FRAGMENT_BYTES + 1],
])('a fragment with %s is dropped', (_what, index, count, length) => {
  const knock = { op: 'fragment', gate, id, hold: false, index, count, bytes: Buffer.alloc(length) } as const;
  expect(decodeKnock(encodeKnock(knock))).toBeUndefined();
  const reply = { op: 'answer', index, count, bytes: Buffer.alloc(length) } as const;
  expect(decodeReply(encodeReply(reply))).toBeUndefined();
});

test('what a plain HyperDHT client says is no knock of ours', () => {
  expect(decodeKnock(Buffer.from([1, 0, 0, 0]))).toBeUndefined();
  expect(decodeKnock(Buffer.alloc(200))).toBeUndefined();
  expect(decodeReply(Buffer.alloc(7))).toBeUndefined();
});
