import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LaneDivider, LaneGatherer } from '../../../src/tunnel/lanes.js';
import { TUNNEL_LANE_BYTES, TUNNEL_LANES_AHEAD_BYTES } from '../../../src/wire/tunnel-limits.js';

/** Bytes that say where they belong. */
function pattern(length: number): Buffer {
  const data = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) data[i] = (i * 7 + (i >>> 8)) % 251;
  return data;
}

test('what was divided among lanes comes together whole and in order, however the lanes race', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 12 }),
      fc.array(fc.record({ lane: fc.nat(3), size: fc.integer({ min: 1, max: 40_000 }) }), { maxLength: 60 }),
      (lanes, writes, arrivals) => {
        const total = writes.reduce((sum, size) => sum + size, 0);
        const data = pattern(total);
        const divider = new LaneDivider(lanes);
        const streams = Array.from({ length: lanes }, () => [] as Uint8Array[]);
        let at = 0;
        for (const size of writes) {
          const pieces = [...divider.divide(data.subarray(at, at + size))];
          for (const { lane, piece } of pieces) streams[lane]?.push(piece);
          at += size;
        }
        const way = streams.map((pieces) => Buffer.concat(pieces));
        const sent = way.map(() => 0);
        const gatherer = new LaneGatherer(lanes);
        const got: Uint8Array[] = [];
        const move = (lane: number, size: number) => {
          const from = sent[lane] ?? 0;
          const piece = way[lane]?.subarray(from, from + size) ?? Buffer.of();
          if (piece.length === 0) return;
          sent[lane] = from + piece.length;
          got.push(...gatherer.add(lane, piece));
        };
        for (const { lane, size } of arrivals) move(lane % lanes, size);
        for (let lane = 0; lane < lanes; lane++) move(lane, total);
        expect(Buffer.concat(got).equals(data)).toBe(true);
        expect(gatherer.held).toBe(0);
      },
    ),
    { numRuns: 300 },
  );
});

test('a peer that fills one lane and starves the other is stopped before memory is', () => {
  const gatherer = new LaneGatherer(2);
  const piece = Buffer.alloc(TUNNEL_LANE_BYTES);
  expect(() => {
    for (let sent = 0; sent <= 2 * TUNNEL_LANES_AHEAD_BYTES; sent += piece.length) {
      expect([...gatherer.add(1, piece)]).toEqual([]);
    }
  }).toThrow('runs away');
  expect(gatherer.held).toBeLessThanOrEqual(TUNNEL_LANES_AHEAD_BYTES + piece.length);
});
