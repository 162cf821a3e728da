import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isAwlError } from '../../src/errors.js';
import {
  decodeFrames,
  encodeFrame,
  FRAME_TYPES,
  type FrameType,
  type TunnelFrame,
} from '../../src/wire/tunnel-frame.js';
import { readHello } from '../../src/wire/tunnel-hello.js';
import { TUNNEL_CHANNELS_MAX, TUNNEL_DATA_BYTES } from '../../src/wire/tunnel-limits.js';
import { frameRecord, RecordOpener, RecordSealer } from '../../src/wire/tunnel-record.js';
import { formatTarget, parseExport, parseImport, parseTarget } from '../../src/wire/tunnel-target.js';
import { deliver, type MuxEnd, muxEnd, openRecorded } from '../support/mux-pair.js';

const RUNS = { numRuns: 1_000 };
const bytes = (max: number) => fc.uint8Array({ maxLength: max }).map((data) => Buffer.from(data));
const KEY = Buffer.alloc(32, 1);

/** Runs an action that may refuse its input, but only by a known error. */
function known<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    if (!isAwlError(error) && !(error instanceof RangeError)) throw error;
    return undefined;
  }
}

test('any bytes as a record are frames or a known error', () => {
  fc.assert(
    fc.property(bytes(200), (record) => {
      for (const frame of known(() => [...decodeFrames(record)]) ?? []) {
        expect(frame.body.length).toBeLessThanOrEqual(TUNNEL_DATA_BYTES);
      }
    }),
    RUNS,
  );
});

test('records sealed once open whatever the cuts, and one flipped bit ends them', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 6 }),
      fc.array(fc.nat(50), { minLength: 1, maxLength: 20 }),
      fc.option(fc.nat()),
      (plains, cuts, flip) => {
        const sealer = new RecordSealer(KEY);
        const stream = Buffer.concat(plains.map((plain) => sealer.seal(frameRecord([plain], plain.length))));
        const sent = Buffer.from(stream);
        if (flip !== null) sent[flip % sent.length] = (sent[flip % sent.length] ?? 0) ^ 0x04;
        const opener = new RecordOpener(KEY);
        const got: Buffer[] = [];
        known(() => {
          for (let at = 0, i = 0; at < sent.length; i++) {
            const next = at + 1 + (cuts[i % cuts.length] ?? 0);
            for (const plain of opener.open(sent.subarray(at, next))) got.push(plain);
            at = next;
          }
        });
        const expected = plains.map((plain) => Buffer.from(plain));
        expect(got).toEqual(expected.slice(0, got.length));
        expect(got.length === plains.length).toBe(flip === null);
      },
    ),
    RUNS,
  );
});

type Step =
  | { readonly do: 'open' | 'answer' | 'end' | 'reset' | 'read'; readonly side: 0 | 1; readonly pick: number }
  | { readonly do: 'send'; readonly side: 0 | 1; readonly pick: number; readonly size: number }
  | { readonly do: 'deliver'; readonly side: 0 | 1; readonly pick: number };

const side = fc.constantFrom<0 | 1>(0, 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('open' as const), side, pick: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('answer' as const), side, pick: fc.nat(9) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      side,
      pick: fc.nat(9),
      size: fc.integer({ min: 1, max: 90_000 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('deliver' as const), side, pick: fc.nat(6) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('read' as const), side, pick: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('end' as const), side, pick: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reset' as const), side, pick: fc.nat(9) }) },
);

/** Sequence numbers make every byte sent on a channel distinguishable from its neighbours. */
function pattern(from: number, length: number): Buffer {
  const data = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) data[i] = (from + i) % 251;
  return data;
}

test('in any interleaving of two honest sides what arrives is what was sent, in order, and nobody breaks a rule', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const ends = [muxEnd('invite'), muxEnd('accept')] as const;
      const sent = new Map<string, number>();
      const known: number[] = [];
      const other = (s: 0 | 1): MuxEnd => ends[s === 0 ? 1 : 0];
      const pickOf = (pick: number) => known[pick % Math.max(1, known.length)] ?? 1;
      const read = (s: 0 | 1, id: number) => {
        const log = ends[s].seen.get(id);
        if (!log) return;
        ends[s].mux.consumed(id, log.unread);
        log.unread = 0;
      };
      for (const one of steps) {
        const end = ends[one.side];
        const id = pickOf(one.pick);
        if (one.do === 'open') known.push(openRecorded(end, `tcp:127.0.0.1:${one.pick + 1}`) ?? 1);
        else if (one.do === 'answer') {
          if (one.pick % 4 === 0) end.mux.refuse(id, 'no');
          else end.mux.accept(id);
        } else if (one.do === 'send') {
          const key = `${one.side} ${id}`;
          const before = sent.get(key) ?? 0;
          sent.set(key, before + end.mux.send(id, pattern(before, one.size)));
        } else if (one.do === 'deliver') deliver(end, other(one.side), one.pick);
        else if (one.do === 'read') read(one.side, id);
        else if (one.do === 'end') end.mux.end(id);
        else end.mux.reset(id);
      }
      while (ends[0].out.length + ends[1].out.length > 0) {
        deliver(ends[0], ends[1]);
        deliver(ends[1], ends[0]);
      }
      for (const [key, count] of sent) {
        const [s, id] = key.split(' ').map(Number) as [0 | 1, number];
        const log = other(s).seen.get(id);
        const arrived = Buffer.concat(log?.data ?? []);
        expect(arrived.equals(pattern(0, arrived.length))).toBe(true);
        const cut = [...(log?.events ?? []), ...(ends[s].seen.get(id)?.events ?? [])].some(
          (e) => e !== 'accepted',
        );
        if (!cut && other(s).mux.credit(id) > 0) expect(arrived.length).toBe(count);
        if (log?.events.includes('ended')) expect(arrived.length).toBe(count);
      }
    }),
    RUNS,
  );
});

const frame: fc.Arbitrary<TunnelFrame> = fc.record({
  type: fc.constantFrom(...(Object.keys(FRAME_TYPES) as FrameType[])),
  channel: fc.oneof(fc.nat(12), fc.constantFrom(0xffff_ffff, 0x8000_0001)),
  body: fc.oneof(bytes(8), fc.constantFrom(Buffer.alloc(4, 0xff), Buffer.alloc(4), Buffer.alloc(17_000))),
});

test('a hostile peer’s frames are a known error or leave bounded state', () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 40 }), (frames) => {
      const end = muxEnd('accept');
      openRecorded(end, 'x');
      const opened = end.out.length;
      known(() => {
        for (const frame of frames) {
          for (const one of decodeFrames(encodeFrame(frame))) end.mux.receive(one);
        }
      });
      expect(end.mux.size).toBeLessThanOrEqual(TUNNEL_CHANNELS_MAX);
      for (const { unread } of end.seen.values()) expect(unread).toBeLessThanOrEqual(300_000);
      expect(end.out.length - opened).toBeLessThanOrEqual(frames.length);
    }),
    RUNS,
  );
});

test('any text is a target, an import, an export or a known error, and a target has one spelling', () => {
  const part = fc.constantFrom(
    'tcp:',
    'udp:',
    'unix:',
    '22',
    '127.0.0.1',
    '[::1]',
    ':',
    '-',
    '/a',
    'nas',
    '0',
    '65535',
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(part, { maxLength: 8 }).map((parts) => parts.join('')),
  );
  fc.assert(
    fc.property(text, (written) => {
      known(() => parseExport(written));
      known(() => parseImport(written));
      const target = known(() => parseTarget(written));
      if (target) expect(parseTarget(formatTarget(target))).toEqual(target);
    }),
    RUNS,
  );
});

test('any hello is read or a known error', () => {
  const text = fc.oneof(
    fc.json(),
    fc
      .record({ v: fc.constantFrom(1, 2, '1'), exports: fc.array(fc.anything()) })
      .map((v) => JSON.stringify(v)),
  );
  fc.assert(
    fc.property(text, (written) => {
      const hello = known(() => readHello({ type: 'hello', channel: 0, body: Buffer.from(written) }));
      if (hello) expect(hello.exports.every((one) => typeof one === 'string')).toBe(true);
    }),
    RUNS,
  );
});
