import { expect, test } from 'vitest';
import {
  DatagramOpener,
  DatagramSealer,
  TUNNEL_DATAGRAM_OVERHEAD_BYTES,
} from '../../../src/wire/tunnel-datagram.js';
import { TUNNEL_REPLAY_WINDOW } from '../../../src/wire/tunnel-limits.js';

const KEY = Buffer.alloc(32, 9);
const NOTHING = Buffer.alloc(0);

test('a datagram opens once, in any order', () => {
  const sealer = new DatagramSealer(KEY);
  const opener = new DatagramOpener(KEY);
  const sent = Array.from({ length: 50 }, (_, i) => sealer.seal(i + 1, Buffer.from(`payload ${i}`)));
  const order = sent.map((_, i) => (i * 7) % sent.length);
  for (const i of order) {
    expect(opener.open(sent[i]!)).toEqual({ channel: i + 1, payload: Buffer.from(`payload ${i}`) });
  }
  for (const datagram of sent) expect(opener.open(datagram)).toBeUndefined();
  expect(opener.replayed).toBe(sent.length);
});

test('one that is older than the window counts as seen, the oldest inside it still opens', () => {
  const sealer = new DatagramSealer(KEY);
  const opener = new DatagramOpener(KEY);
  const sent = Array.from({ length: TUNNEL_REPLAY_WINDOW + 1 }, () => sealer.seal(1, NOTHING));
  expect(opener.open(sent.at(-1)!)).toBeDefined();
  expect(opener.open(sent[0]!)).toBeUndefined();
  expect(opener.open(sent[1]!)).toBeDefined();
  expect(opener.open(sent[1]!)).toBeUndefined();
});

test('after a leap of any size nothing that was open before opens again', () => {
  for (const leap of [2, TUNNEL_REPLAY_WINDOW - 1, TUNNEL_REPLAY_WINDOW, 3 * TUNNEL_REPLAY_WINDOW]) {
    const sealer = new DatagramSealer(KEY);
    const opener = new DatagramOpener(KEY);
    const first = sealer.seal(1, NOTHING);
    opener.open(first);
    for (let i = 1; i < leap; i++) sealer.seal(1, NOTHING);
    const last = sealer.seal(1, NOTHING);
    expect(opener.open(last)).toBeDefined();
    expect(opener.open(first)).toBeUndefined();
    expect(opener.open(last)).toBeUndefined();
  }
});

test('a forged counter does not move the window', () => {
  const sealer = new DatagramSealer(KEY);
  const opener = new DatagramOpener(KEY);
  const good = sealer.seal(1, NOTHING);
  const forged = Buffer.from(good);
  forged.writeUIntBE(2 ** 40, 1, 6);
  expect(opener.open(forged)).toBeUndefined();
  expect(opener.bad).toBe(1);
  expect(opener.open(good)).toBeDefined();
});

test('what is damaged, cut short or not ours opens nothing', () => {
  const opener = new DatagramOpener(KEY);
  const good = new DatagramSealer(KEY).seal(3, Buffer.from('x'));
  expect(good).toHaveLength(TUNNEL_DATAGRAM_OVERHEAD_BYTES + 1);
  for (let i = 0; i < good.length; i++) {
    const damaged = Buffer.from(good);
    damaged[i] = (damaged[i] ?? 0) ^ 0x10;
    expect(opener.open(damaged)).toBeUndefined();
    expect(opener.open(good.subarray(0, i))).toBeUndefined();
  }
  expect(new DatagramOpener(Buffer.alloc(32, 8)).open(good)).toBeUndefined();
});
