import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type DataChannel, DataChannels } from '../../../src/meepo/data-channels.js';

/** The same numbers in every run. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

interface Weather {
  /** Probabilities for one packet. */
  readonly loss?: number;
  readonly twice?: number;
  readonly late?: number;
}

interface End {
  readonly channels: DataChannels;
  readonly opened: DataChannel[];
  /** By label. */
  readonly got: Map<string, Buffer[]>;
  ready: boolean;
  ended: string | undefined;
  packets: number;
}

const listen = (end: End, channel: DataChannel) => {
  const messages: Buffer[] = [];
  end.got.set(channel.label, messages);
  channel.events = { message: (bytes) => void messages.push(bytes), drain: () => {}, state: () => {} };
};

/** Two ends and what lies between them, 5 ms each way. */
function pair({ loss = 0, twice = 0, late = 0 }: Weather = {}): readonly [End, End] {
  const roll = dice(7);
  const ends: End[] = [];
  const carry = (to: number) => (packets: readonly Buffer[]) => {
    const from = ends[1 - to];
    if (from) from.packets += packets.length;
    for (const packet of packets) {
      const copies = roll() < loss ? 0 : roll() < twice ? 2 : 1;
      for (let i = 0; i < copies; i++) {
        setTimeout(() => ends[to]?.channels.receive(Buffer.from(packet)), roll() < late ? 12 : 5);
      }
    }
  };
  for (const n of [0, 1]) {
    const end: End = {
      channels: new DataChannels(
        {
          send: carry(1 - n),
          ready: () => {
            end.ready = true;
          },
          opened: (channel) => {
            end.opened.push(channel);
            listen(end, channel);
          },
          ended: (reason) => {
            end.ended = reason;
          },
        },
        (label) => label === 'sys',
      ),
      opened: [],
      got: new Map(),
      ready: false,
      ended: undefined,
      packets: 0,
    };
    ends.push(end);
  }
  const [a, b] = ends as [End, End];
  b.channels.start({ begins: false, isClient: true });
  a.channels.start({ begins: true, isClient: false });
  return [a, b];
}

async function passes(condition: () => boolean, ms = 60_000): Promise<void> {
  for (let past = 0; past < ms && !condition(); past += 10) await vi.advanceTimersByTimeAsync(10);
  expect(condition()).toBe(true);
}

async function opened(end: End, label: string): Promise<DataChannel> {
  const channel = end.channels.open(label);
  listen(end, channel);
  await passes(() => channel.state === 'open');
  return channel;
}

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance'],
  });
});
afterEach(() => {
  vi.useRealTimers();
});

test.each<[string, Weather]>([
  ['nothing', {}],
  ['a tenth lost', { loss: 0.1 }],
  ['packets twice and out of order', { twice: 0.1, late: 0.2 }],
  ['all of that', { loss: 0.05, twice: 0.05, late: 0.1 }],
])('messages of every size come whole and in order, both ways at once: %s', async (_name, weather) => {
  const [a, b] = pair(weather);
  await passes(() => a.ready && b.ready);
  const up = await opened(a, 'up');
  const down = await opened(b, 'down');
  const sizes = [1, 1199, 1200, 1201, 16_800, 32_768, 65_536, 3];
  const sent = Array.from({ length: 40 }, (_, i) => Buffer.alloc(sizes[i % sizes.length] ?? 1, i));
  for (const message of sent) {
    up.send(Buffer.from(message));
    down.send(Buffer.from(message));
  }
  await passes(() => [b.got.get('up'), a.got.get('down')].every((one) => one?.length === sent.length));
  expect(Buffer.concat(b.got.get('up') ?? []).equals(Buffer.concat(sent))).toBe(true);
  expect(Buffer.concat(a.got.get('down') ?? []).equals(Buffer.concat(sent))).toBe(true);
  expect(up.buffered).toBe(0);
  up.close();
  await passes(() => up.state === 'closed' && b.opened[0]?.state === 'closed');
  // Its number is free again, and what is sent on it is the new channel's.
  const again = await opened(a, 'again');
  expect(again.id).toBe(up.id);
  again.send(Buffer.from('new'));
  await passes(() => b.got.get('again')?.[0]?.toString() === 'new');
  expect([a.ended, b.ended]).toEqual([undefined, undefined]);
});

test('a reader that takes nothing closes the window for all but a probe now and then, and opens it again', async () => {
  const [a, b] = pair();
  await passes(() => a.ready && b.ready);
  const up = await opened(a, 'up');
  const message = Buffer.alloc(16_800);
  b.channels.hold(2 ** 20);
  up.send(Buffer.alloc(1));
  await passes(() => b.got.get('up')?.length === 1);
  for (let i = 0; i < 100; i++) up.send(Buffer.from(message));
  await vi.advanceTimersByTimeAsync(100);
  const before = a.packets;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(a.packets - before).toBeLessThan(25);
  expect(up.buffered).toBeGreaterThan(80 * message.length);
  b.channels.hold(-(2 ** 20));
  await passes(() => b.got.get('up')?.length === 101, 10_000);
});

test('a control message goes before all that waits', async () => {
  const [a, b] = pair();
  await passes(() => a.ready && b.ready);
  const bulk = await opened(a, 'bulk');
  const sys = await opened(a, 'sys');
  for (let i = 0; i < 300; i++) bulk.send(Buffer.alloc(16_800));
  sys.send(Buffer.from('ping'));
  await passes(() => b.got.get('sys')?.length === 1);
  expect(b.got.get('bulk')?.length).toBeLessThan(10);
});

test('small messages of one turn share packets', async () => {
  const [a, b] = pair();
  await passes(() => a.ready && b.ready);
  const up = await opened(a, 'up');
  const before = a.packets;
  for (let i = 0; i < 100; i++) up.send(Buffer.from('small'));
  await passes(() => b.got.get('up')?.length === 100);
  expect(a.packets - before).toBeLessThan(10);
});

test('an end that is closed ends the other', async () => {
  const [a, b] = pair();
  await passes(() => a.ready && b.ready);
  const up = await opened(a, 'up');
  a.channels.end();
  await passes(() => b.ended !== undefined);
  expect([up.state, b.opened[0]?.state]).toEqual(['closed', 'closed']);
});
