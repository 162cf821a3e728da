import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Outbox } from '../../../src/tunnel/outbox.js';
import { decodeFrames, numberFrame } from '../../../src/wire/tunnel-frame.js';
import { TUNNEL_DATA_BYTES } from '../../../src/wire/tunnel-limits.js';
import { RECORD_LENGTH_BYTES } from '../../../src/wire/tunnel-record.js';

const frame = (n: number) => numberFrame('ping', 0, n);

/** The numbers in a record. */
function numbers(framed: Buffer | undefined): number[] {
  const record = framed?.subarray(RECORD_LENGTH_BYTES) ?? Buffer.alloc(0);
  return [...decodeFrames(record)].map(({ body }) => Buffer.from(body).readUInt32BE());
}

type Step =
  | { readonly do: 'add' }
  | { readonly do: 'seal' }
  | { readonly do: 'take' }
  | { readonly do: 'acknowledge' | 'cut'; readonly part: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('add' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('seal' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('take' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('acknowledge', 'cut'), part: fc.nat(100) }),
  },
);

test('whatever is cut off, every frame arrives once and in order, and what was acknowledged is forgotten', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const box = new Outbox();
      const got: number[] = [];
      // Records that the peer has; those behind it are under way and may be lost.
      let arrived = 0;
      let flight: Buffer[] = [];
      let next = 0;
      const deliver = (count: number) => {
        for (const record of flight.splice(0, count)) {
          got.push(...numbers(record));
          arrived += 1;
        }
      };
      for (const one of steps) {
        if (one.do === 'add') box.add(frame(next++));
        else if (one.do === 'seal') box.seal();
        else if (one.do === 'take') {
          const record = box.take();
          if (record) flight.push(record);
        } else if (one.do === 'acknowledge') {
          deliver(Math.ceil((flight.length * one.part) / 100));
          box.acknowledged(arrived);
          expect(box.kept).toBe(
            flight.reduce((sum, record) => sum + record.length - RECORD_LENGTH_BYTES, box.waiting),
          );
        } else {
          deliver(Math.floor((flight.length * one.part) / 100));
          flight = [];
          box.resume(arrived);
        }
      }
      box.seal();
      for (let record = box.take(); record; record = box.take()) flight.push(record);
      deliver(flight.length);
      box.acknowledged(arrived);
      expect(got).toEqual(Array.from({ length: next }, (_, i) => i));
      expect([box.kept, box.waiting]).toEqual([0, 0]);
    }),
    { numRuns: 1000 },
  );
});

test('a peer that acknowledges what was never sent, or wants what it acknowledged, is found out', () => {
  const box = new Outbox();
  for (let i = 0; i < 3; i++) {
    box.add(frame(i));
    box.seal();
  }
  expect(() => box.acknowledged(1)).toThrow('never sent');
  box.take();
  box.take();
  box.acknowledged(2);
  box.acknowledged(1);
  expect(() => box.resume(1)).toThrow('acknowledged');
  expect(() => box.resume(3)).toThrow('never sent');
  box.resume(2);
  expect(numbers(box.take())).toEqual([2]);
});

test('the memory of what was added may be used again at once', () => {
  const box = new Outbox();
  const body = Buffer.from('abcd');
  box.add({ type: 'data', channel: 1, body });
  box.seal();
  body.fill('x');
  expect(box.take()?.toString().endsWith('abcd')).toBe(true);
});

test('the memory of a record is used again only after it was acknowledged, and it yields how many were', () => {
  const box = new Outbox();
  const add = (fill: number) =>
    box.add({ type: 'data', channel: 1, body: Buffer.alloc(TUNNEL_DATA_BYTES, fill) });
  const records = [1, 2, 3].map((fill) => {
    add(fill);
    box.seal();
    return box.take() as Buffer;
  });
  expect(box.acknowledged(1)).toBe(1);
  expect(box.acknowledged(1)).toBe(0);
  add(4);
  box.seal();
  const next = box.take() as Buffer;
  expect(next.buffer).toBe(records[0]?.buffer);
  expect(records.slice(1).map((record) => record.at(-1))).toEqual([2, 3]);
  box.resume(1);
  expect([box.take(), box.take(), box.take()].map((record) => record?.at(-1))).toEqual([2, 3, 4]);
});

test('records of any size keep their bytes until they are acknowledged, however their memory is used again', () => {
  const sizes = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: TUNNEL_DATA_BYTES }));
  const steps = fc.array(fc.record({ size: sizes, seal: fc.boolean(), acknowledge: fc.nat(4) }), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(steps, (all) => {
      const box = new Outbox();
      const body = Buffer.alloc(TUNNEL_DATA_BYTES);
      const expected: number[][] = [];
      let open: number[] = [];
      const flight: { readonly record: Buffer; readonly fills: readonly number[] }[] = [];
      let acknowledged = 0;
      const take = () => {
        for (let record = box.take(); record; record = box.take()) {
          const frames = [...decodeFrames(record.subarray(RECORD_LENGTH_BYTES))];
          flight.push({ record, fills: frames.map(({ channel }) => channel) });
        }
      };
      const check = ({ record, fills }: (typeof flight)[number]) => {
        const frames = [...decodeFrames(record.subarray(RECORD_LENGTH_BYTES))];
        expect(frames.map(({ channel }) => channel)).toEqual(fills);
        for (const { channel, body: bytes } of frames) {
          if (!bytes.every((byte) => byte === channel % 256))
            throw new Error(`frame ${channel} was overwritten`);
        }
      };
      for (const [i, { size, seal, acknowledge }] of all.entries()) {
        box.add({
          type: 'data',
          channel: i + 1,
          body: body.fill((i + 1) % 256).subarray(0, Math.max(1, size)),
        });
        open.push(i + 1);
        if (!seal) continue;
        box.seal();
        expected.push(open);
        open = [];
        take();
        for (const one of flight) check(one);
        acknowledged += flight.splice(0, acknowledge).length;
        box.acknowledged(acknowledged);
      }
      expect(flight.flatMap(({ fills }) => fills)).toEqual(
        expected.flat().slice(expected.flat().length - flight.flatMap(({ fills }) => fills).length),
      );
    }),
    { numRuns: 100 },
  );
});
