import { expect, test } from 'vitest';
import { TUBUS_LIMITS } from '../../src/tunnel/tubus/limits.js';
import { TubusMachine } from '../../src/tunnel/tubus/machine.js';
import { encodeTubus, type TubusSection } from '../../src/wire/tubus.js';
import { randomFrom, TubusPair } from '../support/tubus-link.js';

const WINDOW = TUBUS_LIMITS.receiveBytes;
const LINK: TubusSection[] = [{ type: 'link' }, { type: 'edge', offset: WINDOW }];
const CONFIRM: TubusSection[] = [{ type: 'edge-echo', offset: WINDOW }];

function acceptor() {
  const machine = new TubusMachine('accept', TUBUS_LIMITS, 0);
  return { machine, tell: (pin: number, sections: TubusSection[]) => machine.receive({ pin, sections }, 0) };
}

function linked() {
  const { machine, tell } = acceptor();
  tell(1, LINK);
  tell(1, CONFIRM);
  machine.poll(0);
  return { machine, tell };
}

test('a forged link, before or after the true one, does not lock the true peer out', () => {
  for (const order of [[66, 1] as const, [1, 66] as const]) {
    const { machine, tell } = acceptor();
    for (const pin of order) tell(pin, LINK);
    expect(machine.linked).toBe(false);
    tell(1, CONFIRM);
    expect(machine.linked).toBe(true);
    tell(1, [{ type: 'move', offset: 0, data: Buffer.from('true') }]);
    expect(String(machine.read())).toBe('true');
  }
});

test('an edge that came with a forged link opens nothing for the true peer', () => {
  const { machine, tell } = acceptor();
  tell(66, [{ type: 'link' }, { type: 'edge', offset: 2 ** 40 }]);
  tell(1, [{ type: 'link' }, { type: 'edge', offset: 100 }]);
  tell(1, CONFIRM);
  machine.write(Buffer.alloc(5000));
  machine.poll(0);
  expect(machine.stats.sent).toBe(100);
});

test('links under ever new pins take no memory and do not keep out a pin that was offered', () => {
  const { machine, tell } = acceptor();
  tell(1, LINK);
  for (let pin = 2; pin < 10_000; pin++) tell(pin, LINK);
  expect(machine.stats.strangers).toBeGreaterThan(9000);
  tell(1, CONFIRM);
  expect(machine.linked).toBe(true);
});

test('without a link nothing is taken and nothing is answered', () => {
  const { machine, tell } = acceptor();
  for (const sections of [CONFIRM, [{ type: 'tear' } as const], [{ type: 'ping', value: 1n } as const]]) {
    tell(7, [...sections]);
  }
  expect(machine.poll(0)).toEqual([]);
  expect(machine.stats.strangers).toBe(3);
});

test('another pin moves, tears and echoes nothing', () => {
  const { machine, tell } = linked();
  machine.write(Buffer.alloc(10));
  machine.poll(0);
  const forged: TubusSection[] = [
    { type: 'move', offset: 0, data: Buffer.from('evil') },
    { type: 'move-echo', offset: 0 },
    { type: 'edge', offset: 2 ** 50 },
    { type: 'tear' },
  ];
  tell(2, forged);
  tell(2, [...LINK, ...forged]);
  expect(machine.poll(0)).toEqual([]);
  expect([machine.readable, machine.pending, machine.end]).toEqual([0, 10, undefined]);
});

test('moves beyond the window are counted and ignored, not echoed, and end nothing', () => {
  const { machine, tell } = linked();
  tell(1, [{ type: 'move', offset: WINDOW - 3, data: Buffer.alloc(4) }]);
  tell(1, [{ type: 'move', offset: 2 ** 52, data: Buffer.alloc(4) }]);
  expect(machine.stats.beyond).toBe(2);
  expect(machine.poll(0)).toEqual([]);
  expect(machine.end).toBeUndefined();
});

test('a window that is flooded with one-byte pieces keeps a bounded number of them', () => {
  const { machine, tell } = linked();
  for (let offset = 1; offset <= 20_000; offset++) {
    tell(1, [{ type: 'move', offset: offset * 2, data: Buffer.alloc(1) }]);
    if (offset % 200 === 0) machine.poll(0);
  }
  expect(machine.stats.beyond).toBe(20_000 - 1024);
});

test('overlapping moves are put together without loss or repetition', () => {
  const { machine, tell } = linked();
  const text = Buffer.from('abcdefghij');
  for (const [from, to] of [
    [6, 10],
    [3, 7],
    [2, 4],
    [0, 3],
    [0, 5],
  ] as const) {
    tell(1, [{ type: 'move', offset: from, data: text.subarray(from, to) }]);
  }
  expect(Buffer.concat(machine.read() ?? []).toString()).toBe('abcdefghij');
});

test('an edge that goes back, and echoes of what was never sent, change nothing', () => {
  const { machine, tell } = linked();
  tell(1, [
    { type: 'edge', offset: 0 },
    { type: 'move-echo', offset: 55 },
    { type: 'ping-echo', value: 9n },
  ]);
  machine.write(Buffer.alloc(100));
  machine.poll(0);
  expect(machine.stats.sent).toBe(100);
  // The peer says that it will take 2^60 bytes more than it told before: only what was written is sent.
  tell(1, [{ type: 'edge', offset: 2 ** 52 }]);
  machine.poll(0);
  expect(machine.pending).toBe(100);
});

test('one datagram full of pings is answered with no more bytes than it had', () => {
  const { machine, tell } = linked();
  const pings: TubusSection[] = Array.from({ length: 5000 }, (_, i) => ({ type: 'ping', value: BigInt(i) }));
  tell(1, pings);
  const answers = machine.poll(0);
  expect(answers.flat().length).toBeLessThanOrEqual(256);
  for (const sections of answers) {
    expect(encodeTubus({ pin: 1, sections }, 0n, 0n).length).toBeLessThanOrEqual(TUBUS_LIMITS.packetBytes);
  }
});

test('replayed and truncated datagrams of a session do not change its bytes', () => {
  const pair = new TubusPair({ loss: 0.02, seed: 5 });
  const random = randomFrom(8);
  const old: { to: 'connect' | 'accept'; wire: Buffer }[] = [];
  pair.passes = (to, { pin, sections }) => {
    old.push({ to, wire: encodeTubus({ pin, sections: [...sections] }, 9n, 77n) });
    return true;
  };
  pair.link();
  const data = Buffer.from(Array.from({ length: 200_000 }, () => Math.floor(random() * 256)));
  pair.sides.connect.write(data);
  pair.runUntil(() => {
    for (let i = 0; i < 3; i++) {
      const pick = old[Math.floor(random() * old.length)];
      if (!pick) continue;
      pair.inject(pick.to, pick.wire);
      pair.inject(pick.to, pick.wire.subarray(0, Math.floor(random() * pick.wire.length)));
    }
    return pair.sides.connect.pending === 0;
  });
  pair.run(50);
  expect(pair.text('accept').equals(data)).toBe(true);
  expect(pair.sides.accept.stats.duplicates).toBeGreaterThan(50);
});
