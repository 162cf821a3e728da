import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  framePacket,
  openVolley,
  readPackets,
  recutVolley,
  SEALED_BYTES,
  SEGMENT_BYTES,
  type Segment,
  VOLLEY_BYTES,
  volleyBytes,
  WIRE_BYTES,
  writeVolley,
} from '../../../src/wire/volley.js';
import { decodeReport, encodeReport, type ReportPart } from '../../../src/wire/volley-report.js';

const KEY = Buffer.alloc(32, 3);

function sealed(plain: readonly Uint8Array[], number: number): Buffer {
  const wire = Buffer.alloc(volleyBytes(plain.reduce((sum, { length }) => sum + length, 0)));
  writeVolley(wire, KEY, { token: 0xdeadbeef, number }, plain);
  return wire;
}

interface Packet {
  readonly kind: 'segment' | 'datagram' | 'report';
  readonly head?: Omit<Segment, 'data' | 'from' | 'to'>;
  readonly payload: Buffer;
}

function packetsOf(data: Buffer): Packet[] {
  const found: Packet[] = [];
  readPackets(data, {
    segment: ({ data: bytes, from, to, ...head }) =>
      found.push({ kind: 'segment', head, payload: Buffer.from(bytes.subarray(from, to)) }),
    datagram: (payload) => found.push({ kind: 'datagram', payload }),
    report: (payload) => found.push({ kind: 'report', payload }),
  });
  return found;
}

function segments(wire: Buffer): { head: NonNullable<Packet['head']>; payload: Buffer }[] {
  return packetsOf(wire).map(({ kind, head, payload }) => {
    if (!head) throw new Error(kind);
    return { head, payload };
  });
}

const open = (wire: Buffer, number: number) =>
  openVolley(KEY, number, Buffer.concat(segments(wire).map(({ payload }) => payload)));

test('a volley of any size comes back, in segments that are as long as the first but for the last', () => {
  const sizes = fc.oneof(fc.integer({ min: 0, max: 4000 }), fc.integer({ min: 0, max: VOLLEY_BYTES }));
  fc.assert(
    fc.property(sizes, fc.integer({ min: 0, max: 2 ** 48 - 1 }), fc.nat(9), (bytes, number, cuts) => {
      const plain = randomBytes(bytes);
      const at = Math.ceil(bytes / (cuts + 1)) || 1;
      const pieces = Array.from({ length: cuts + 1 }, (_, i) => plain.subarray(i * at, (i + 1) * at));
      const wire = sealed(pieces, number);
      const parts = segments(wire).map(({ head }) => head);
      expect(parts.every(({ count }) => count === parts.length)).toBe(true);
      expect(parts.map(({ index }) => index)).toEqual(parts.map((_, i) => i));
      expect(parts.every((one) => one.number === number && one.token === 0xdeadbeef)).toBe(true);
      expect(Math.ceil(wire.length / SEGMENT_BYTES)).toBe(parts.length);
      expect(wire.length).toBeLessThanOrEqual(65_507);
      expect(open(wire, number)?.equals(plain)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

test('in segments of any width it is the same volley, also when it is cut anew', () => {
  const sizes = fc.oneof(fc.integer({ min: 0, max: 4000 }), fc.integer({ min: 0, max: VOLLEY_BYTES }));
  fc.assert(
    fc.property(sizes, fc.constantFrom(1472, 1452, 1412, 1372, 1332, 1272), (bytes, width) => {
      const plain = randomBytes(bytes);
      const wire = Buffer.alloc(volleyBytes(bytes, width));
      writeVolley(wire, KEY, { token: 7, number: 2 ** 33 }, [plain], width);
      expect(wire.length).toBeLessThanOrEqual(WIRE_BYTES);
      const again = recutVolley(wire, width, SEGMENT_BYTES);
      const narrow = Buffer.alloc(volleyBytes(bytes));
      writeVolley(narrow, KEY, { token: 7, number: 2 ** 33 }, [plain]);
      expect(again.equals(narrow)).toBe(true);
      for (const [one, longest] of [
        [wire, width],
        [again, SEGMENT_BYTES],
      ] as const) {
        const parts = segments(one);
        expect(parts.map(({ head }) => head.index)).toEqual(parts.map((_, i) => i));
        expect(parts).toHaveLength(Math.ceil(one.length / longest));
        const sized = parts.slice(0, -1).every(({ head, payload }) => payload.length === head.share);
        expect(sized).toBe(true);
        expect(open(one, 2 ** 33)?.equals(plain)).toBe(true);
      }
    }),
    { numRuns: 60 },
  );
});

test('no header makes a volley longer than they get', () => {
  fc.assert(
    fc.property(
      fc.nat(255),
      fc.nat(255),
      fc.nat(2000),
      fc.integer({ min: 18, max: 1600 }),
      (index, count, share, length) => {
        const data = Buffer.alloc(length);
        data[0] = 0xac;
        data.writeUInt16BE(length, 1);
        data[13] = index;
        data[14] = count;
        data.writeUInt16BE(share, 15);
        for (const { head, payload } of packetsOf(data)) {
          if (!head) throw new Error('no segment');
          expect(head.index * head.share + payload.length).toBeLessThanOrEqual(SEALED_BYTES);
          expect((head.count - 1) * head.share).toBeLessThan(SEALED_BYTES);
          expect(payload.length).toBeLessThanOrEqual(1455);
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

test('a volley with any bit of its ciphertext changed, or under another number, does not open', () => {
  const wire = sealed([randomBytes(5000)], 9);
  expect(open(wire, 10)).toBeUndefined();
  fc.assert(
    fc.property(fc.nat(wire.length - 1), fc.nat(7), (at, bit) => {
      const changed = Buffer.from(wire);
      changed[at] = (changed[at] as number) ^ (1 << bit);
      if (at % SEGMENT_BYTES < 15) return;
      expect(open(changed, 9)).toBeUndefined();
    }),
  );
});

test('what the kernel joined is told apart, and what is not ours ends it', () => {
  const [report, datagram] = [
    framePacket('report', Buffer.from('r')),
    framePacket('datagram', Buffer.from('dd')),
  ];
  const joined = Buffer.concat([report, report, datagram, sealed([Buffer.from('x')], 1)]);
  expect(packetsOf(joined).map(({ kind }) => kind)).toEqual(['report', 'report', 'datagram', 'segment']);
  expect(packetsOf(Buffer.concat([report, Buffer.from('GET / HTTP'), report]))).toHaveLength(1);
});

test('any bytes are read without harm: packets within them, or nothing', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 3000 }), fc.constantFrom(0xa8, 0xa9, 0xaa), (bytes, magic) => {
      const data = Buffer.from(bytes);
      if (data.length > 0) data[0] = magic;
      for (const { head, payload } of packetsOf(data)) {
        if (head) expect(head.index).toBeLessThan(head.count);
        expect(payload.length).toBeGreaterThan(0);
      }
      decodeReport(data);
    }),
  );
});

const PARTS = fc
  .array(
    fc.record({
      gap: fc.nat(20),
      part: fc.oneof(
        fc.record({ run: fc.integer({ min: 1, max: 300 }) }),
        fc.record({
          got: fc.array(fc.nat(1), { minLength: 1, maxLength: 54 }).map((list) => Uint8Array.from(list)),
        }),
      ),
    }),
    { maxLength: 300 },
  )
  .map((list) => {
    const parts: ReportPart[] = [];
    let at = 5;
    for (const { gap, part } of list) {
      at += gap;
      parts.push({ number: at, ...part });
      at += 'run' in part ? part.run : 1;
    }
    return { parts, seen: at };
  });

test('a report comes back as it was, or shortened to what fits with its end named', () => {
  fc.assert(
    fc.property(PARTS, fc.nat(2 ** 31), ({ parts, seen }, serial) => {
      if (seen - 5 > 60_000) return;
      const bytes = encodeReport({ serial, next: 5, seen, delayMs: 1.5, room: 99, parts });
      expect(bytes.length).toBeLessThanOrEqual(1100);
      const back = decodeReport(bytes);
      expect(back).toMatchObject({ serial, next: 5, delayMs: 1.5, room: 99 });
      const kept = back?.parts ?? [];
      expect(kept).toEqual(parts.slice(0, kept.length));
      expect(back?.seen).toBe(kept.length === parts.length ? seen : parts[kept.length]?.number);
    }),
  );
});
