import { randomBytes } from 'node:crypto';
import { beforeEach, expect, test } from 'vitest';
import { Inbox } from '../../../../src/rendezvous/hyperdht/inbox.js';
import { splitBox } from '../../../../src/rendezvous/hyperdht/knock.js';
import {
  DHT_ASSEMBLY_MAX_BYTES,
  DHT_ASSEMBLY_MS,
  DHT_ASSEMBLY_SOURCE_BYTES,
  DHT_FRAGMENT_BYTES,
  DHT_WAITING_MAX,
  DHT_WAITING_MS,
} from '../../../../src/rendezvous/hyperdht/limits.js';
import { letterId, placeOf } from '../../../../src/rendezvous/hyperdht/place.js';

const PLACE = placeOf('ssh', Buffer.from('bob'));
const OTHER = placeOf('vnc', Buffer.from('bob'));
let now = 0;
let inbox: Inbox;
beforeEach(() => {
  now = 1000;
  inbox = new Inbox(() => now);
});

function letter(size = 2 * DHT_FRAGMENT_BYTES + 100) {
  const box = randomBytes(size);
  const parts = splitBox(box);
  const id = letterId(box);
  const put = (index: number, source = 'a', place = PLACE) =>
    inbox.take(place, id, { index, count: parts.length, bytes: parts[index]! }, source);
  return { box, id, put };
}

test('fragments in any order make one letter, once, whatever is repeated', () => {
  const { box, put } = letter();
  expect(put(2).arrived).toBeUndefined();
  expect(put(0).arrived).toBeUndefined();
  expect(put(0).arrived).toBeUndefined();
  expect(put(1).arrived?.box.equals(box)).toBe(true);
  for (const index of [0, 1, 2]) expect(put(index).arrived).toBeUndefined();
  expect(inbox.bytes).toBe(0);
});

test('before, a reply says that fragments are missing, then that the answer is, then it is the answer', () => {
  const { id, put } = letter();
  put(0);
  expect(inbox.reply(PLACE, id, 0)).toEqual({ op: 'incomplete' });
  put(1);
  const key = put(2).arrived!.letter.key;
  expect(inbox.reply(PLACE, id, 0)).toEqual({ op: 'waiting' });
  const answer = randomBytes(DHT_FRAGMENT_BYTES + 1);
  expect(inbox.answer(key, () => answer)?.box.equals(answer)).toBe(true);
  const parts = [0, 1, 9].map((index) => inbox.reply(PLACE, id, index));
  expect(parts.map((part) => part.op === 'answer' && [part.index, part.count, part.bytes.length])).toEqual([
    [0, 2, DHT_FRAGMENT_BYTES],
    [1, 2, 1],
    [0, 2, DHT_FRAGMENT_BYTES],
  ]);
  // A repeated fragment of an inviter that lost the reply.
  put(0);
  expect(inbox.reply(PLACE, id, 1).op).toBe('answer');
});

test('whoever waits on a fragment that came early hears of the answer, too', async () => {
  const { put } = letter();
  const early = put(0).answered;
  put(1);
  const { arrived } = put(2);
  let heard = false;
  void early.then(() => {
    heard = true;
  });
  inbox.answer(arrived!.letter.key, () => randomBytes(10));
  await early;
  expect(heard).toBe(true);
});

test('a letter for one place is not known at another, though its bytes are the same', () => {
  const { id, put } = letter(100);
  put(0);
  expect(inbox.reply(PLACE, id, 0)).toEqual({ op: 'waiting' });
  expect(inbox.reply(OTHER, id, 0)).toEqual({ op: 'incomplete' });
  expect(put(0, 'a', OTHER).arrived).toBeDefined();
});

test('a fragment that does not fit the others, or a whole that is not what its id says, is nothing', () => {
  const { id, put } = letter();
  put(0);
  put(1);
  const foreign = { index: 3, count: 5, bytes: randomBytes(DHT_FRAGMENT_BYTES) };
  expect(inbox.take(PLACE, id, foreign, 'b').arrived).toBeUndefined();
  expect(inbox.take(PLACE, id, { index: 2, count: 3, bytes: randomBytes(100) }, 'b').arrived).toBeUndefined();
  // The forged third spoiled this round; the inviter is told and sends all again.
  expect(inbox.reply(PLACE, id, 0)).toEqual({ op: 'incomplete' });
  put(0);
  put(1);
  expect(put(2).arrived).toBeDefined();
});

test('half a letter is forgotten after a while, a whole one when its inviter has given up', () => {
  const half = letter();
  half.put(0);
  const whole = letter(100);
  const key = whole.put(0).arrived!.letter.key;
  now += DHT_ASSEMBLY_MS;
  expect(inbox.find(PLACE, whole.id)).toBeDefined();
  expect(inbox.bytes).toBe(0);
  now += DHT_WAITING_MS;
  expect(inbox.find(PLACE, whole.id)).toBeUndefined();
  expect(inbox.answer(key, () => randomBytes(9))).toBeUndefined();
});

test('a flood of first fragments stays within bounds and cannot push out what another source sent', () => {
  const good = letter();
  good.put(0, 'alice');
  for (let i = 0; i < 3000; i++) letter().put(0, 'mallory');
  expect(inbox.bytes).toBeLessThanOrEqual(DHT_ASSEMBLY_SOURCE_BYTES + DHT_FRAGMENT_BYTES);
  good.put(1, 'alice');
  expect(good.put(2, 'alice').arrived).toBeDefined();
  for (let i = 0; i < 5000; i++) letter().put(0, `m${i % 50}`);
  expect(inbox.bytes).toBeLessThanOrEqual(DHT_ASSEMBLY_MAX_BYTES);
});

test('a flood of whole letters is bounded; the oldest are forgotten first', () => {
  const first = letter(50);
  first.put(0);
  const last = Array.from({ length: DHT_WAITING_MAX }, () => letter(50));
  for (const { put } of last) put(0);
  expect(inbox.find(PLACE, first.id)).toBeUndefined();
  expect(inbox.find(PLACE, last.at(-1)!.id)).toBeDefined();
});
