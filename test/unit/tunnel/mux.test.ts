import { expect, test } from 'vitest';
import { bareFrame, numberFrame, type TunnelFrame, textFrame } from '../../../src/wire/tunnel-frame.js';
import {
  TUNNEL_CHANNELS_MAX,
  TUNNEL_DATA_BYTES,
  TUNNEL_FIRST_CREDIT_BYTES,
  TUNNEL_WINDOW_BYTES,
  TUNNEL_WINDOWS_BYTES,
} from '../../../src/wire/tunnel-limits.js';
import { deliver, type MuxEnd, muxEnd, openRecorded } from '../../support/mux-pair.js';

function pair(): [MuxEnd, MuxEnd] {
  return [muxEnd('invite'), muxEnd('accept')];
}
const data = (channel: number, length: number): TunnelFrame => ({
  type: 'data',
  channel,
  body: Buffer.alloc(length),
});
const breaks = (end: MuxEnd, ...frames: TunnelFrame[]) =>
  expect(() => {
    for (const frame of frames) end.mux.receive(frame);
  }).toThrow(expect.objectContaining({ code: 'MESSAGE_MALFORMED' }));

test('a request travels with its open, the answer comes back, and nothing is left of the channel', () => {
  const [a, b] = pair();
  const id = openRecorded(a, 'tcp:127.0.0.1:22')!;
  expect(a.mux.send(id, Buffer.from('request'))).toBe(7);
  deliver(a, b);
  expect([...b.asked]).toEqual([[id, 'tcp:127.0.0.1:22']]);
  b.mux.accept(id);
  b.mux.send(id, Buffer.from('answer'));
  b.mux.end(id);
  deliver(b, a);
  a.mux.end(id);
  deliver(a, b);
  expect(a.seen.get(id)).toMatchObject({ events: ['accepted', 'ended'], data: [Buffer.from('answer')] });
  expect(b.seen.get(id)).toMatchObject({ events: ['ended'], data: [Buffer.from('request')] });
  expect([a.mux.size, b.mux.size]).toEqual([0, 0]);
});

test('both sides number their own channels', () => {
  const [a, b] = pair();
  expect([openRecorded(a, 'x'), openRecorded(a, 'x')]).toEqual([1, 3]);
  expect([openRecorded(b, 'x'), openRecorded(b, 'x')]).toEqual([2, 4]);
});

test('nothing goes beyond the credit, and one frame has one size at most', () => {
  const [a, b] = pair();
  const id = openRecorded(a, 'x')!;
  expect(a.mux.send(id, Buffer.alloc(10 * TUNNEL_DATA_BYTES))).toBe(TUNNEL_FIRST_CREDIT_BYTES);
  expect(a.mux.send(id, Buffer.alloc(1))).toBe(0);
  deliver(a, b);
  b.mux.accept(id);
  deliver(b, a);
  expect(a.mux.credit(id)).toBe(TUNNEL_WINDOW_BYTES - TUNNEL_FIRST_CREDIT_BYTES);
  expect(a.mux.send(id, Buffer.alloc(10 * TUNNEL_DATA_BYTES))).toBe(TUNNEL_DATA_BYTES);
});

test('a reader that does not read gets no more than its window; one that keeps up gets a larger one', () => {
  const [a, b] = pair();
  const id = openRecorded(a, 'x')!;
  deliver(a, b);
  b.mux.accept(id);
  deliver(b, a);
  let total = 0;
  const fill = () => {
    for (let sent = 1; sent > 0; total += sent) sent = a.mux.send(id, Buffer.alloc(TUNNEL_DATA_BYTES));
    deliver(a, b);
  };
  fill();
  expect(total).toBe(TUNNEL_WINDOW_BYTES);
  const first = b.seen.get(id)!;
  b.mux.consumed(id, first.unread);
  first.unread = 0;
  deliver(b, a);
  fill();
  expect(first.unread).toBe(2 * TUNNEL_WINDOW_BYTES);
});

test('all windows together stay within one budget, and closing gives it back', () => {
  const [a, b] = pair();
  const granted = (count: number) => {
    let sum = 0;
    const ids = Array.from({ length: count }, () => openRecorded(a, 'x')!);
    deliver(a, b);
    for (const id of ids) b.mux.accept(id);
    deliver(b, a);
    for (const id of ids) {
      sum += a.mux.credit(id);
      a.mux.reset(id);
    }
    deliver(a, b);
    return sum;
  };
  const most = TUNNEL_WINDOWS_BYTES + TUNNEL_CHANNELS_MAX * TUNNEL_FIRST_CREDIT_BYTES;
  expect(granted(TUNNEL_CHANNELS_MAX)).toBe(most);
  expect(granted(TUNNEL_CHANNELS_MAX)).toBe(most);
  expect(b.mux.size).toBe(0);
});

test('too many channels are refused on both sides', () => {
  const [a, b] = pair();
  for (let i = 0; i < TUNNEL_CHANNELS_MAX; i++) openRecorded(a, 'x');
  expect(openRecorded(a, 'x')).toBeUndefined();
  deliver(a, b);
  b.mux.receive(textFrame('open', 2 * TUNNEL_CHANNELS_MAX + 1, 'x'));
  expect(b.frames.at(-1)).toMatchObject({ type: 'refuse', channel: 2 * TUNNEL_CHANNELS_MAX + 1 });
  expect(b.mux.size).toBe(TUNNEL_CHANNELS_MAX);
});

test('a peer that opens our numbers, an old one, or the same twice breaks the tunnel', () => {
  breaks(muxEnd('accept'), textFrame('open', 2, 'x'));
  breaks(muxEnd('invite'), textFrame('open', 1, 'x'));
  breaks(muxEnd('accept'), textFrame('open', 5, 'x'), textFrame('open', 5, 'x'));
  breaks(muxEnd('accept'), textFrame('open', 5, 'x'), textFrame('open', 3, 'x'));
});

test('a peer that sends more than it was granted breaks the tunnel before it is buffered', () => {
  const b = muxEnd('accept');
  breaks(b, textFrame('open', 1, 'x'), data(1, TUNNEL_FIRST_CREDIT_BYTES), data(1, 1));
  expect(b.seen.get(1)?.unread).toBe(TUNNEL_FIRST_CREDIT_BYTES);
});

test('a peer that lies about credit, ends twice, sends after its end or answers unasked breaks the tunnel', () => {
  const open = textFrame('open', 1, 'x');
  const much = numberFrame('credit', 1, 0x7fff_ffff);
  breaks(muxEnd('accept'), open, much, much);
  breaks(muxEnd('accept'), open, bareFrame('fin', 1), bareFrame('fin', 1));
  breaks(muxEnd('accept'), open, bareFrame('fin', 1), data(1, 1));
  breaks(muxEnd('accept'), open, bareFrame('accept', 1));
  breaks(muxEnd('accept'), open, textFrame('refuse', 1, 'x'));
});

test('frames for a channel that is gone are counted and nothing else', () => {
  const b = muxEnd('accept');
  for (const frame of [data(1, 5), numberFrame('credit', 7, 9), bareFrame('fin', 2), bareFrame('reset', 1)]) {
    b.mux.receive(frame);
  }
  expect(b.mux.strays).toBe(4);
  expect(b.out).toEqual([]);
});

test('a refusal leaves nothing on either side', () => {
  const [a, b] = pair();
  const id = openRecorded(a, 'x')!;
  deliver(a, b);
  b.mux.refuse(id, 'not exported');
  b.mux.refuse(id, 'again');
  b.mux.accept(id);
  deliver(b, a);
  expect(a.seen.get(id)?.events).toEqual(['refused not exported']);
  expect([a.mux.size, b.mux.size]).toEqual([0, 0]);
});
