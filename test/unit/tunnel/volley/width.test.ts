import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WIDTH_AGAIN_MS } from '../../../../src/tunnel/volley/limits.js';
import { Width } from '../../../../src/tunnel/volley/width.js';
import { SEGMENT_BYTES } from '../../../../src/wire/volley.js';
import { type PathOptions, pass, VolleyPath } from '../../../support/volley-path.js';

const [SEGMENT, REPORT, PROBE, WIDE] = [0xa8, 0xaa, 0xab, 0xac];

beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate', 'performance'],
  });
  pass(1);
});
afterEach(() => void vi.useRealTimers());

/** A path on which a sends to b all the time, the lengths of packets that a sent since, and a check of what came. */
function flowing(options: PathOptions) {
  let lengths: number[] = [];
  const meddle = (packet: Buffer): readonly Buffer[] => {
    if (packet[0] === SEGMENT || packet[0] === WIDE) lengths.push(packet.length);
    return options.meddle?.(packet) ?? [packet];
  };
  const path = new VolleyPath({ mbit: 20, queueBytes: 100_000, ...options, meddle });
  const errors: Error[] = [];
  for (const side of [path.a, path.b]) side.on('error', (error: Error) => errors.push(error));
  const sent: Buffer[] = [];
  let at = 0;
  path.b.on('data', (piece: Buffer) => {
    for (let from = 0; from < piece.length; ) {
      const expected = sent[0]?.subarray(at) ?? Buffer.alloc(0);
      const count = Math.min(expected.length, piece.length - from);
      expect(expected.compare(piece, from, from + count, 0, count)).toBe(0);
      from += count;
      at += count;
      if (at < (sent[0]?.length ?? 0)) continue;
      sent.shift();
      at = 0;
    }
  });
  let stopped = false;
  const write = () => {
    while (!stopped) {
      const data = randomBytes(20_000);
      sent.push(data);
      if (!path.a.write(data)) return;
    }
  };
  path.a.on('drain', write);
  write();
  const widest = () => {
    const result = Math.max(...lengths);
    lengths = [];
    return result;
  };
  const whole = () => {
    stopped = true;
    pass(5_000);
    expect(sent).toHaveLength(0);
    expect(errors).toEqual([]);
  };
  return { path, widest, whole };
}

for (const mtu of [1472, 1440, 1300, 1210]) {
  test(`a path that takes ${mtu} bytes is found out within a second, and nothing is lost by it`, () => {
    const { path, widest, whole } = flowing({ delayMs: 10, mtu: () => mtu });
    pass(1_000);
    widest();
    pass(200);
    const found = [1472, 1452, 1412, 1372, 1332, 1272].find((size) => size <= mtu);
    expect(widest()).toBe(found ?? SEGMENT_BYTES);
    expect(path.a.stats().repeated).toBeLessThan(300);
    whole();
  });
}

test('a path that takes less all at once is noticed though small packets still pass, and grows again', () => {
  let mtu = 1472;
  const { widest, whole } = flowing({ delayMs: 10, mtu: () => mtu });
  pass(500);
  widest();
  mtu = 1350;
  pass(4_000);
  widest();
  pass(500);
  expect(widest()).toBe(1332);
  mtu = 1472;
  pass(300);
  expect(widest()).toBe(1332);
  whole();
});

test('a path that was cut is tried again from the beginning', () => {
  let cut = false;
  const { widest, whole } = flowing({
    delayMs: 10,
    mtu: () => 1472,
    meddle: (packet) => (cut ? [] : [packet]),
  });
  pass(500);
  cut = true;
  pass(3_000);
  widest();
  cut = false;
  pass(6_000);
  widest();
  pass(300);
  expect(widest()).toBe(1472);
  whole();
});

test('loss of a fifth of all packets is no narrow path', () => {
  const { widest, whole } = flowing({ delayMs: 5, mtu: () => 1472, loss: 0.2 });
  pass(4_000);
  widest();
  pass(500);
  expect(widest()).toBe(1472);
  whole();
});

test('a peer that knows nothing of probes gets segments that it knows', () => {
  const { path, widest, whole } = flowing({
    delayMs: 10,
    mtu: () => 1472,
    meddle: (packet) => (packet[0] === PROBE ? [] : [packet]),
  });
  pass(1_000);
  expect(widest()).toBe(SEGMENT_BYTES);
  expect(path.a.stats().repeated).toBeLessThan(300);
  whole();
});

test('probes that somebody on the path changes, repeats, or hands over as something else do no harm', () => {
  const old: Buffer[] = [];
  const { widest, whole } = flowing({
    delayMs: 10,
    mtu: () => 1472,
    meddle: (packet) => {
      if (packet[0] !== PROBE) return [packet];
      const [other, changed, longer] = [packet, packet, Buffer.alloc(1472)].map((one) => Buffer.from(one));
      (other as Buffer)[0] = REPORT;
      (changed as Buffer)[packet.length >> 1] = ((changed as Buffer)[packet.length >> 1] as number) ^ 1;
      packet.copy(longer as Buffer);
      longer?.writeUInt16BE(1472, 1);
      old.push(packet);
      return [changed as Buffer, longer as Buffer, other as Buffer, packet, old[0] as Buffer];
    },
  });
  pass(1_000);
  widest();
  pass(200);
  expect(widest()).toBe(1472);
  whole();
});

test('sizes are tried when there is a use for them, a few times, and again after ten minutes', () => {
  const probes: number[] = [];
  const width = new Width(1452, (channel, { length }) => probes.push(channel, length + 30));
  width.look(1, 10, 20);
  expect(probes).toEqual([]);
  for (let now = 1; now < 60_000; now += 100) width.look(now, 100, 20);
  expect(probes.filter((one) => one === 1452)).toHaveLength(3);
  expect(Math.max(...probes)).toBe(1452);
  const answer = Buffer.alloc(2);
  for (const size of [1400, 9000, 1472, 1372]) {
    answer.writeUInt16BE(size);
    width.take({ channel: 3, payload: answer });
  }
  expect(width.known).toBe(1372);
  probes.length = 0;
  width.look(60_000 + WIDTH_AGAIN_MS, 200, 20);
  expect(probes).toEqual([2, 1452, 2, 1412]);
});
