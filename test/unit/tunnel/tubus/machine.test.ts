import { expect, test } from 'vitest';
import { TUBUS_LIMITS } from '../../../../src/tunnel/tubus/limits.js';
import { TubusMachine } from '../../../../src/tunnel/tubus/machine.js';
import type { TubusSection } from '../../../../src/wire/tubus.js';
import { randomFrom, TubusPair } from '../../../support/tubus-link.js';

function bytes(count: number, seed = 3): Buffer {
  const random = randomFrom(seed);
  return Buffer.from(Array.from({ length: count }, () => Math.floor(random() * 256)));
}

test('both sides link in one round trip, ping and confirm their edges', () => {
  const pair = new TubusPair();
  const seen: string[] = [];
  pair.passes = (to, { sections }) => seen.push(`${to}: ${sections.map(({ type }) => type).join(' ')}`) > 0;
  pair.run(1000);
  expect(seen).toEqual([
    'accept: link edge',
    'connect: link-echo edge edge-echo',
    'accept: ping edge-echo',
    'connect: ping-echo',
  ]);
  expect(pair.sides.connect.stats.rttMs).toBe(10);
});

test('bytes arrive whole both ways through loss, duplication and reordering', () => {
  const pair = new TubusPair({ loss: 0.05, duplication: 0.05, reorder: 0.2, seed: 7 });
  pair.link();
  const [there, back] = [bytes(300_000), bytes(200_000, 4)];
  pair.sides.connect.write(there);
  pair.sides.accept.write(back);
  pair.runUntil(() => pair.sides.connect.pending === 0 && pair.sides.accept.pending === 0);
  pair.run(50);
  expect(pair.text('accept').equals(there)).toBe(true);
  expect(pair.text('connect').equals(back)).toBe(true);
});

test('close delivers everything that was written before it tears', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const pair = new TubusPair({ loss: 0.05, duplication: 0.05, reorder: 0.2, seed });
    pair.link();
    const data = bytes(50_000, seed);
    pair.sides.accept.write(data);
    pair.sides.accept.close(pair.now, 60_000);
    expect(pair.runUntil(() => pair.sides.accept.done && pair.sides.connect.done)).toBe(true);
    pair.got.connect.push(...(pair.sides.connect.read() ?? []));
    expect(pair.text('connect').equals(data)).toBe(true);
    expect([pair.sides.accept.end, pair.sides.connect.end]).toEqual(['closed', 'torn']);
  }
});

test('what arrived in order before a tear can be read after it', () => {
  const pair = new TubusPair();
  pair.link();
  pair.reading.connect = false;
  pair.sides.accept.write(bytes(20_000));
  pair.sides.accept.close(pair.now, 60_000);
  pair.runUntil(() => pair.sides.connect.done);
  expect(pair.sides.connect.end).toBe('torn');
  expect(Buffer.concat(pair.sides.connect.read() ?? []).equals(bytes(20_000))).toBe(true);
});

test('a writer is held at the edge of a peer that does not read, and goes on when it reads', () => {
  const pair = new TubusPair({}, { receiveBytes: 65_536, sendBytes: 200_000 });
  pair.link();
  pair.reading.accept = false;
  const data = bytes(150_000);
  pair.sides.connect.write(data);
  pair.run(20_000);
  expect(pair.sides.accept.readable).toBe(65_536);
  expect(pair.sides.connect.stats.sent).toBe(65_536);
  expect(pair.sides.connect.pending).toBe(150_000 - 65_536);
  pair.reading.accept = true;
  pair.runUntil(() => pair.sides.connect.pending === 0);
  pair.run(50);
  expect(pair.text('accept').equals(data)).toBe(true);
});

test('edges are announced in steps, not at each read', () => {
  const pair = new TubusPair();
  pair.link();
  let edges = 0;
  pair.passes = (_to, { sections }) => {
    edges += sections.filter(({ type }) => type === 'edge').length;
    return true;
  };
  pair.sides.connect.write(bytes(1_000_000));
  pair.runUntil(() => pair.sides.connect.pending === 0);
  expect(edges).toBeGreaterThan(1);
  expect(edges).toBeLessThan(8);
});

test('a full send buffer says so', () => {
  const pair = new TubusPair({}, { sendBytes: 10_000 });
  pair.link();
  expect(pair.sides.connect.canWrite).toBe(true);
  pair.sides.connect.write(bytes(10_000));
  expect(pair.sides.connect.canWrite).toBe(false);
  pair.runUntil(() => pair.sides.connect.pending === 0);
  expect(pair.sides.connect.canWrite).toBe(true);
});

test('no more than 48 moves are in flight, fewer after losses, and no datagram exceeds its limit', () => {
  const pair = new TubusPair({ delayMs: 50 });
  pair.link();
  const echoed = new Set<number>();
  const flying = new Set<number>();
  let most = 0;
  let lossy = false;
  let afterLoss = 0;
  let count = 0;
  pair.passes = (to, { sections }) => {
    for (const section of sections) {
      if (to === 'accept' && section.type === 'move' && !echoed.has(section.offset))
        flying.add(section.offset);
      if (to === 'connect' && section.type === 'move-echo') {
        flying.delete(section.offset);
        echoed.add(section.offset);
      }
    }
    most = Math.max(most, flying.size);
    if (lossy) afterLoss = Math.max(afterLoss, flying.size);
    return !(lossy && to === 'accept' && ++count % 10 === 0);
  };
  pair.sides.connect.write(bytes(400_000));
  pair.runUntil(() => pair.sides.connect.pending === 0);
  expect(most).toBe(48);
  lossy = true;
  pair.sides.connect.write(bytes(400_000));
  pair.runUntil(() => pair.sides.connect.pending < 200_000);
  afterLoss = 0;
  pair.runUntil(() => pair.sides.connect.pending === 0);
  expect(afterLoss).toBeLessThan(25);
});

test('a repetition has the offset and bytes of the first sending', () => {
  const pair = new TubusPair();
  pair.link();
  const first = new Map<number, string>();
  let repeated = 0;
  pair.passes = (to, { sections }) => {
    if (to !== 'accept') return true;
    let fresh = false;
    for (const section of sections) {
      if (section.type !== 'move') continue;
      const hex = section.data.toString('hex');
      const before = first.get(section.offset);
      if (before === undefined) fresh = true;
      else {
        repeated += 1;
        expect(hex).toBe(before);
      }
      first.set(section.offset, hex);
    }
    return !fresh;
  };
  pair.sides.connect.write(bytes(1000));
  pair.run(15);
  pair.sides.connect.write(bytes(5000));
  pair.runUntil(() => pair.sides.connect.pending === 0);
  expect(repeated).toBeGreaterThan(3);
  expect([...first.keys()].sort((a, b) => a - b)[1]).toBe(1000);
});

test('a move that is never acknowledged breaks the connection after 32 sendings', () => {
  const pair = new TubusPair();
  pair.link();
  let sendings = 0;
  pair.passes = (_to, { sections }) => {
    const lost = sections.some(({ type }) => type === 'move');
    if (lost) sendings += 1;
    return !lost;
  };
  pair.sides.connect.write(bytes(100));
  pair.runUntil(() => pair.sides.connect.done);
  expect(pair.sides.connect.end).toBe('broken');
  expect(sendings).toBe(32);
});

test('an outage of eight seconds costs time, but no data', () => {
  const pair = new TubusPair();
  pair.link();
  let out = true;
  pair.passes = () => !out;
  const data = bytes(30_000);
  pair.sides.connect.write(data);
  pair.run(8000);
  out = false;
  expect(pair.runUntil(() => pair.sides.connect.pending === 0, 5000)).toBe(true);
  pair.run(50);
  expect(pair.text('accept').equals(data)).toBe(true);
});

test('silence of 35 seconds ends either side; pings every 30 keep an idle pair alive', () => {
  const pair = new TubusPair();
  pair.link();
  pair.run(200_000);
  expect([pair.sides.connect.end, pair.sides.accept.end]).toEqual([undefined, undefined]);
  pair.passes = () => false;
  const from = pair.now;
  pair.runUntil(() => pair.sides.connect.done && pair.sides.accept.done);
  expect([pair.sides.connect.end, pair.sides.accept.end]).toEqual(['silent', 'silent']);
  expect(pair.now - from).toBeLessThan(35_100);
});

test('nobody there: both sides give up after 30 seconds', () => {
  const pair = new TubusPair();
  pair.passes = () => false;
  const from = pair.now;
  pair.runUntil(() => pair.sides.connect.done && pair.sides.accept.done);
  expect([pair.sides.connect.end, pair.sides.accept.end]).toEqual(['timeout', 'timeout']);
  expect(pair.now - from).toBe(30_000);
});

test('a tear that nobody answers ends after 2 seconds', () => {
  const pair = new TubusPair();
  pair.link();
  pair.passes = () => false;
  const from = pair.now;
  pair.sides.connect.close(from, 1000);
  pair.runUntil(() => pair.sides.connect.done);
  expect(pair.sides.connect.end).toBe('unanswered');
  expect(pair.now - from).toBe(2000);
});

test('both may end it at the same time', () => {
  const pair = new TubusPair();
  pair.link();
  for (const side of [pair.sides.connect, pair.sides.accept]) side.close(pair.now, 1000);
  pair.runUntil(() => pair.sides.connect.done && pair.sides.accept.done);
  expect([pair.sides.connect.end, pair.sides.accept.end]).toEqual(['closed', 'closed']);
});

test('a peer of the older version, whose datagrams have 1432 bytes, is understood, and gets at most 1406', () => {
  const machine = new TubusMachine('accept', TUBUS_LIMITS, 0);
  const tell = (sections: TubusSection[]) => machine.receive({ pin: 1, sections }, 0);
  tell([{ type: 'link' }, { type: 'edge', offset: 5_242_880 }]);
  machine.poll(0);
  tell([{ type: 'edge-echo', offset: 5_242_880 }]);
  tell([{ type: 'move', offset: 0, data: bytes(1404) }]);
  expect(machine.poll(0)).toEqual([[{ type: 'move-echo', offset: 0 }]]);
  machine.write(bytes(3000));
  expect(machine.poll(0).map(([move]) => move?.type === 'move' && move.data.length)).toEqual([
    1378, 1378, 244,
  ]);
});
