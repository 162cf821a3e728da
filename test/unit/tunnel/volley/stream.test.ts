import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Arrivals } from '../../../../src/tunnel/volley/arrivals.js';
import { Departures } from '../../../../src/tunnel/volley/departures.js';
import { VOLLEY_HELD_BYTES } from '../../../../src/tunnel/volley/limits.js';
import { SEGMENT_BYTES, SEGMENTS_MAX, type Segment, VOLLEY_BYTES } from '../../../../src/wire/volley.js';
import { type PathOptions, pass, VolleyPath } from '../../../support/volley-path.js';

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance'],
  });
  pass(1);
});
afterEach(() => void vi.useRealTimers());

/** Sends so many bytes from a to b, as fast as it is let, and ends; what is right arrives within the time. */
function carries(path: VolleyPath, bytes: number, limitMs: number): number {
  const [sent, got] = [createHash('sha256'), createHash('sha256')];
  let arrived = 0;
  let ended = false;
  path.b.on('data', (piece: Buffer) => {
    got.update(piece);
    arrived += piece.length;
  });
  path.b.on('end', () => {
    ended = true;
    path.b.end();
  });
  let closed = 0;
  for (const side of [path.a, path.b]) side.on('close', () => (closed += 1));
  let left = bytes;
  const write = () => {
    while (left > 0) {
      const piece = randomBytes(Math.min(left, 50_000));
      left -= piece.length;
      sent.update(piece);
      if (!path.a.write(piece)) return;
    }
    path.a.end();
  };
  path.a.on('drain', write);
  write();
  let ms = 0;
  for (; ms < limitMs && closed < 2; ms += 50) pass(50);
  expect(arrived).toBe(bytes);
  expect(ended).toBe(true);
  expect(got.digest('hex')).toBe(sent.digest('hex'));
  expect(closed).toBe(2);
  return ms;
}

/** Sends from a to b as much as it is let; Mbit/s that arrive in the next so many ms. */
function floods(path: VolleyPath): (ms: number) => number {
  let got = 0;
  path.b.on('data', ({ length }: Buffer) => (got += length));
  const write = () => {
    while (path.a.write(Buffer.alloc(65_536)));
  };
  path.a.on('drain', write);
  write();
  return (ms) => {
    const before = got;
    pass(ms);
    return ((got - before) * 8) / (ms * 1_000);
  };
}

const PATHS: Readonly<Record<string, PathOptions>> = {
  'a clean path': { delayMs: 5 },
  'loss of 5 % and what comes twice': { delayMs: 5, loss: 0.05, duplicate: 0.05 },
  'loss of 30 %': { delayMs: 5, loss: 0.3 },
  'packets that overtake each other': { delayMs: 5, jitterMs: 20, duplicate: 0.02 },
  'a bottleneck with little room': { delayMs: 10, mbit: 20, queueBytes: 30_000 },
};
for (const [what, options] of Object.entries(PATHS)) {
  test(`${what}: every byte arrives once and in order, and both ends end`, () => {
    carries(new VolleyPath(options), 700_000, 60_000);
  });
}

test('forged segments of all kinds cost repetitions and no byte', () => {
  let forged = 0;
  const meddle = (packet: Buffer): Buffer[] => {
    if (packet[0] !== 0xa8 || ++forged % 7 !== 0) return [packet];
    const fake = Buffer.from(packet);
    // Its payload, its count, its number far ahead or behind, its token: before and after the true one.
    const kind = forged % 6;
    if (kind === 0) fake.fill(0x55, 15);
    else if (kind === 1) fake[14] = 54;
    else if (kind === 2) fake.writeUIntBE(2 ** 40, 7, 6);
    else if (kind === 3) fake.writeUIntBE(0, 7, 6);
    else if (kind === 4) fake.writeUInt32BE(1, 3);
    // One of a volley that was not sent yet.
    else fake.writeUIntBE(fake.readUIntBE(7, 6) + 700, 7, 6);
    return forged % 2 === 0 ? [fake, packet] : [packet, fake];
  };
  const path = new VolleyPath({ delayMs: 5, meddle });
  carries(path, 400_000, 60_000);
  expect(forged).toBeGreaterThan(100);
  expect(path.a.stats().repeated).toBeGreaterThan(0);
  // What is merely old is no forgery to tell from a repetition.
  expect(path.b.stats().bad).toBeGreaterThan(10);
});

test('forged, repeated and old reports change nothing', () => {
  const old: Buffer[] = [];
  const meddle = (packet: Buffer): Buffer[] => {
    if (packet[0] !== 0xaa) return [packet];
    old.push(packet);
    const fake = Buffer.from(packet);
    fake[20] = (fake[20] as number) ^ 1;
    return [fake, old[old.length >> 1] as Buffer, packet];
  };
  const errors: Error[] = [];
  const path = new VolleyPath({ delayMs: 5, loss: 0.02, meddle });
  path.a.on('error', (error) => errors.push(error));
  carries(path, 400_000, 60_000);
  expect(errors).toEqual([]);
});

test('a path that was cut for seconds goes on where it was, and sends little while it is cut', () => {
  let cut = false;
  let through = 0;
  const path = new VolleyPath({
    delayMs: 5,
    mbit: 50,
    meddle: (packet) => {
      through += packet.length > SEGMENT_BYTES / 2 ? 1 : 0;
      return cut ? [] : [packet];
    },
  });
  let got = 0;
  path.b.on('data', ({ length }: Buffer) => (got += length));
  path.a.write(Buffer.alloc(1_000_000));
  pass(50);
  cut = true;
  pass(100);
  const before = through;
  pass(8_000);
  expect(through - before).toBeLessThan(300);
  cut = false;
  pass(8_000);
  expect(got).toBe(1_000_000);
});

test('20 Mbit/s at 50 ms are used, and after the start the queue before the bottleneck stays short', () => {
  const path = new VolleyPath({ delayMs: 25, mbit: 20, queueBytes: 800_000 });
  const rate = floods(path);
  pass(2_000);
  expect(rate(2_000)).toBeGreaterThan(18);
  expect(path.a.stats().rttMs).toBeLessThan(90);
});

test('a heap of packets lost at once does not bring the rate down for long', () => {
  let lossy = false;
  const path = new VolleyPath({
    delayMs: 10,
    mbit: 50,
    queueBytes: 250_000,
    mtu: () => 1472,
    meddle: (packet) => (lossy && packet.length > 1000 ? [] : [packet]),
  });
  const rate = floods(path);
  pass(500);
  lossy = true;
  pass(100);
  lossy = false;
  pass(200);
  expect(rate(500)).toBeGreaterThan(35);
});

test('on machines that come to it every 30 ms only a path is used all the same', () => {
  const exact = globalThis.setTimeout;
  // Each waits until the next of these moments, the path too.
  const late = (call: () => void, ms = 0) => {
    const now = performance.now();
    return exact(call, Math.ceil((now + ms) / 30) * 30 - now);
  };
  vi.stubGlobal('setTimeout', late);
  try {
    const path = new VolleyPath({ delayMs: 25, mbit: 20 });
    const rate = floods(path);
    pass(1_000);
    expect(rate(500)).toBeGreaterThan(12);
  } finally {
    vi.unstubAllGlobals();
  }
});

test('a path that carries ten times as much all at once is used soon', () => {
  let mbit = 4;
  const path = new VolleyPath({
    delayMs: 10,
    queueBytes: 100_000,
    get mbit() {
      return mbit;
    },
  });
  const rate = floods(path);
  pass(3_000);
  mbit = 40;
  pass(1_000);
  expect(rate(500)).toBeGreaterThan(25);
});

for (const [loss, least] of [
  [0.05, 40],
  [0.2, 25],
] as const) {
  test(`50 Mbit/s with loss of ${100 * loss} % are used as far as that lets`, () => {
    const path = new VolleyPath({ delayMs: 10, mbit: 50, queueBytes: 250_000, loss });
    const rate = floods(path);
    pass(1_000);
    expect(rate(1_000)).toBeGreaterThan(least);
  });
}

test('what is a little longer than a volley goes as one, and the rest joins what comes next or leaves a moment later', () => {
  const departures = new Departures(Buffer.alloc(32), 1);
  let now = 1;
  let next = 0;
  const send = (): number[] => {
    const counts: number[] = [];
    for (;;) {
      const sent = departures.next(now, 1e6);
      if (!sent) return counts;
      next += 1;
      counts.push(sent.wire[14] as number);
    }
  };
  const arrives = () => {
    now += 20;
    departures.report({ serial: next, next, seen: next, delayMs: 0, room: 4e6, parts: [] }, now);
  };
  const record = Buffer.alloc(VOLLEY_BYTES + 1_575);
  // Until so much may be under way that nothing is cut for want of it.
  for (let i = 0; i < 30; i++, arrives()) {
    departures.add(record);
    send();
  }
  while (departures.waiting > 0) {
    send();
    arrives();
  }
  departures.add(record);
  expect(send()).toEqual([SEGMENTS_MAX]);
  expect(departures.heldUntil).toBeGreaterThan(now);
  departures.add(record);
  expect(send()).toEqual([SEGMENTS_MAX]);
  expect(departures.waiting).toBe(2 * 1_575);
  now = departures.heldUntil;
  expect(send()).toEqual([3]);
  arrives();
  // Alone, or at the end, nothing waits.
  departures.add(Buffer.alloc(9));
  expect(send()).toEqual([1]);
  departures.add(record);
  departures.end();
  expect(send()).toEqual([SEGMENTS_MAX, 2, 1]);
});

test('what arrives is reported less often the longer the way is, and at once after a pause', () => {
  const reportsOn = (options: PathOptions) => {
    let reports = 0;
    const meddle = (packet: Buffer): Buffer[] => {
      if (packet[0] === 0xaa) reports += 1;
      return [packet];
    };
    const path = new VolleyPath({ ...options, meddle });
    const take = () => {
      const sofar = reports;
      reports = 0;
      return sofar;
    };
    return { path, take };
  };
  for (const [delayMs, least, most] of [
    [2, 150, 550],
    [25, 50, 210],
  ] as const) {
    const { path, take } = reportsOn({ delayMs, mbit: 20, queueBytes: 400_000 });
    const write = () => {
      while (path.a.write(Buffer.alloc(30_000)));
    };
    path.a.on('drain', write);
    // Each side knows how long the way is from what it sent itself.
    path.b.write(Buffer.from('x'));
    write();
    pass(500);
    take();
    pass(500);
    const reports = take();
    expect(reports).toBeGreaterThan(least);
    expect(reports).toBeLessThan(most);
  }
  const { path, take } = reportsOn({ delayMs: 25 });
  path.a.write(Buffer.from('x'));
  pass(26);
  expect(take()).toBe(1);
});

test('who gives the stream up tells the peer, and a word forged to say so does not', () => {
  const path = new VolleyPath({ delayMs: 5 });
  const errors: string[] = [];
  path.b.on('error', ({ message }: Error) => errors.push(message));
  path.b.report(Buffer.alloc(40, 0xa7));
  pass(50);
  expect(errors).toEqual([]);
  path.a.destroy();
  pass(50);
  expect(errors).toEqual(['the peer gave it up']);
});

test('a peer that reports what was never sent is not believed any further', () => {
  const path = new VolleyPath({ delayMs: 5 });
  const errors: string[] = [];
  path.a.on('error', ({ message }: Error) => errors.push(message));
  // It has the keys, and sends nothing of the kind by itself: volley 5 of ours.
  const other = new VolleyPath({ delayMs: 5 });
  other.b.on('data', () => {});
  let last: Buffer | undefined;
  vi.spyOn(other.a, 'report').mockImplementation((sealed) => {
    last = Buffer.from(sealed);
  });
  for (let i = 0; i < 6; i++) {
    other.a.write(Buffer.from('x'));
    pass(30);
  }
  expect(last).toBeDefined();
  path.a.report(last as Buffer);
  expect(errors).toEqual(['reports what was never sent']);
});

test('segments of volleys that never become whole take bounded memory, and no place from the next one', () => {
  const arrivals = new Arrivals(Buffer.alloc(32), 1);
  const begin = (number: number): Segment => ({
    ...{ token: 1, number, index: 1, count: SEGMENTS_MAX, share: 1185 },
    ...{ data: Buffer.alloc(1185), from: 0, to: 1185 },
  });
  for (let number = 1023; number >= 0; number--) arrivals.take(begin(number));
  for (let number = 0; number < 1024; number++) arrivals.take(begin(number));
  expect(arrivals.held).toBeLessThanOrEqual(VOLLEY_HELD_BYTES);
  const { parts } = arrivals.state();
  expect(parts[0]).toMatchObject({ number: 0 });
  expect(parts.length).toBeGreaterThan(300);
  expect(parts.length).toBeLessThan(500);
});
