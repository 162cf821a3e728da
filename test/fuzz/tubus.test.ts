import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TUBUS_LIMITS } from '../../src/tunnel/tubus/limits.js';
import { TubusMachine } from '../../src/tunnel/tubus/machine.js';
import { decodeTubus, encodeTubus, type TubusSection } from '../../src/wire/tubus.js';
import { encodeFrameHeader, FrameReader } from '../../src/wire/tubus-frame.js';
import { TubusPair } from '../support/tubus-link.js';

const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const offset = fc.oneof(
  fc.nat({ max: 10_000 }),
  fc.nat({ max: TUBUS_LIMITS.receiveBytes + 10 }),
  fc.maxSafeNat(),
);
const section: fc.Arbitrary<TubusSection> = fc.oneof(
  fc.constantFrom<TubusSection>({ type: 'link' }, { type: 'link-echo' }, { type: 'tear-echo' }),
  u64.map((value): TubusSection => ({ type: 'ping', value })),
  u64.map((value): TubusSection => ({ type: 'ping-echo', value })),
  fc
    .tuple(fc.constantFrom('move-echo' as const, 'edge' as const, 'edge-echo' as const), offset)
    .map(([type, at]): TubusSection => ({ type, offset: at })),
  fc
    .tuple(offset, fc.uint8Array({ maxLength: 60 }))
    .map(([at, data]): TubusSection => ({ type: 'move', offset: at, data: Buffer.from(data) })),
);
const sections = fc.array(section, { maxLength: 12 });
const pin = fc.integer({ min: 1, max: 0xffff_ffff });

test('every packet is read as it was written, under every secret and salt', () => {
  fc.assert(
    fc.property(pin, sections, u64, u64, (own, list, secret, salt) => {
      const wire = encodeTubus({ pin: own, sections: list }, secret, salt);
      expect(decodeTubus(wire, secret)).toEqual({ pin: own, sections: list });
    }),
    { numRuns: 2000 },
  );
});

test('arbitrary and damaged datagrams are read or refused, never thrown at', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      sections,
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 3 }),
      (noise, list, damage) => {
        decodeTubus(noise, 0n);
        decodeTubus(noise, 5n);
        const wire = encodeTubus({ pin: 1, sections: list }, 0n, 0n);
        for (const [at, value] of damage) wire[at % wire.length] = value;
        const packet = decodeTubus(wire, 0n);
        if (packet) expect(packet.pin).toBeGreaterThan(0);
      },
    ),
    { numRuns: 2000 },
  );
});

test('whatever a peer says, a machine stays within its bounds and sends datagrams within the limit', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('connect' as const, 'accept' as const),
      fc.array(fc.tuple(fc.constantFrom(1, 1, 1, 2), sections, fc.nat({ max: 3000 })), { maxLength: 20 }),
      (role, talk) => {
        let now = 0;
        const machine = new TubusMachine(role, TUBUS_LIMITS, now);
        machine.receive({ pin: 1, sections: [{ type: role === 'connect' ? 'link-echo' : 'link' }] }, now);
        machine.write(Buffer.alloc(20_000));
        let read = 0;
        for (const [from, list, pause] of talk) {
          machine.receive({ pin: from, sections: list }, now);
          read += Buffer.concat(machine.read() ?? []).length;
          const packets = machine.poll(now);
          expect(packets.flat().filter(({ type }) => type === 'move').length).toBeLessThanOrEqual(48);
          for (const each of packets) {
            expect(encodeTubus({ pin: 1, sections: each }, 0n, 0n).length).toBeLessThanOrEqual(1406);
          }
          // Polled at once again, it has nothing to say: no busy loop.
          expect(machine.poll(now)).toEqual([]);
          if (!machine.done) expect(machine.wakeAt).toBeGreaterThan(now);
          now += pause;
        }
        expect(read).toBe(machine.stats.received);
        expect(machine.stats.received).toBeLessThan(TUBUS_LIMITS.receiveBytes * 2);
      },
    ),
    { numRuns: 1000 },
  );
});

test('any pattern of writes arrives intact through any path, and both sides end', () => {
  const share = fc.double({ min: 0, max: 0.2, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 6000 }), fc.nat({ max: 40 })), { maxLength: 12 }),
      fc.record({
        loss: share,
        duplication: share,
        reorder: share,
        seed: fc.integer({ min: 1, max: 2 ** 31 }),
      }),
      fc.integer({ min: 4096, max: 20_000 }),
      (writes, manners, receiveBytes) => {
        const pair = new TubusPair(manners, { receiveBytes });
        pair.link();
        const sent = { connect: [] as Buffer[], accept: [] as Buffer[] };
        let mark = 0;
        for (const [forward, size, pause] of writes) {
          const role = forward ? 'connect' : 'accept';
          const data = Buffer.alloc(size, ++mark);
          sent[role].push(data);
          pair.sides[role].write(data);
          pair.run(pause);
        }
        expect(pair.runUntil(() => pair.sides.connect.pending === 0 && pair.sides.accept.pending === 0)).toBe(
          true,
        );
        pair.sides.connect.close(pair.now, 1000);
        pair.runUntil(() => pair.sides.connect.done && pair.sides.accept.done);
        for (const role of ['connect', 'accept'] as const) {
          const other = role === 'connect' ? 'accept' : 'connect';
          pair.got[role].push(...(pair.sides[role].read() ?? []));
          expect(pair.text(role).equals(Buffer.concat(sent[other]))).toBe(true);
        }
      },
    ),
    { numRuns: 1000 },
  );
});

test('frames survive every cutting of the stream', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat({ max: 5 }), fc.uint8Array({ maxLength: 30 })), { maxLength: 10 }),
      fc.array(fc.nat({ max: 12 }), { minLength: 1, maxLength: 60 }),
      (frames, cuts) => {
        const stream = Buffer.concat(
          frames.flatMap(([id, data]) => [encodeFrameHeader(id, data.length), Buffer.from(data)]),
        );
        const reader = new FrameReader();
        const seen = new Map<number, Buffer>();
        let controls = 0;
        let at = 0;
        for (let i = 0; at < stream.length; i++) {
          const step = (cuts[i % cuts.length] ?? 0) + 1;
          for (const part of reader.push(stream.subarray(at, at + step))) {
            if (part.kind === 'control') controls += 1;
            else seen.set(part.id, Buffer.concat([seen.get(part.id) ?? Buffer.alloc(0), part.data]));
          }
          at += step;
        }
        expect(controls).toBe(frames.filter(([, data]) => data.length === 0).length);
        for (const [id, data] of seen) {
          const whole = frames.filter(([each]) => each === id).map(([, part]) => Buffer.from(part));
          expect(data.equals(Buffer.concat(whole))).toBe(true);
        }
      },
    ),
    { numRuns: 1000 },
  );
});
