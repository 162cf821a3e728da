import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressToBytes, bytesToAddress } from '../../src/util/ip-bytes.js';
import { decodeStun, encodeStun, type StunMessage } from '../../src/wire/stun.js';

const COOKIE = Buffer.from('2112a442', 'hex');

const octets = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const endpoint = fc
  .tuple(fc.oneof(octets(4), octets(16)), fc.integer({ min: 0, max: 65_535 }))
  .map(([bytes, port]) => ({ address: bytesToAddress(bytes), port }));
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const id = fc.oneof(
  octets(12).map((rest) => Buffer.concat([COOKIE, rest])),
  octets(16).map((bytes) => Buffer.from(bytes)),
);
const message = fc
  .record({
    kind: fc.constantFrom('request', 'success', 'error'),
    id,
    mapped: maybe(endpoint),
    xorMapped: maybe(endpoint),
    source: maybe(endpoint),
    changed: maybe(endpoint),
    origin: maybe(endpoint),
    other: maybe(endpoint),
    change: maybe(fc.record({ ip: fc.boolean(), port: fc.boolean() })),
    error: maybe(
      fc.record({
        code: fc.integer({ min: 300, max: 699 }),
        reason: fc.string({ maxLength: 60, unit: fc.constantFrom(...'abc XYZ-019') }),
      }),
    ),
    unknownAttributes: maybe(fc.array(fc.integer({ min: 0, max: 65_535 }), { maxLength: 16 })),
  })
  .map((fields): StunMessage => {
    const cookie = fields.id.subarray(0, 4).equals(COOKIE);
    const present = Object.entries(fields).filter(
      ([name, value]) => value !== undefined && (cookie || name !== 'xorMapped'),
    );
    return Object.fromEntries(present) as unknown as StunMessage;
  });

/** A well-formed header in front of arbitrary attributes: deeper than random bytes ever get. */
const framed = fc
  .tuple(
    fc.constantFrom(0x0001, 0x0101, 0x0111),
    id,
    fc.array(
      fc.tuple(
        fc.oneof(
          fc.constantFrom(1, 3, 4, 5, 9, 10, 0x20, 0x8020, 0x802b, 0x802c),
          fc.integer({ min: 0, max: 65_535 }),
        ),
        fc.uint8Array({ maxLength: 40 }),
        fc.oneof(
          { weight: 9, arbitrary: fc.constant(0) },
          { weight: 1, arbitrary: fc.integer({ min: -8, max: 300 }) },
        ),
      ),
      { maxLength: 8 },
    ),
  )
  .map(([type, transaction, attributes]) => {
    const body = attributes.map(([attribute, value, lie]) => {
      const out = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4);
      out.writeUInt16BE(attribute);
      out.writeUInt16BE(Math.max(0, value.length + lie), 2);
      out.set(value, 4);
      return out;
    });
    const head = Buffer.alloc(4);
    head.writeUInt16BE(type);
    head.writeUInt16BE(Buffer.concat(body).length, 2);
    return Buffer.concat([head, transaction, ...body]);
  });

/** The same octets in the middle of a larger buffer: reading past the end would find the marker. */
function surrounded(data: Uint8Array): Buffer {
  const room = Buffer.alloc(data.length + 200, 0xaa);
  room.set(data, 100);
  return room.subarray(100, 100 + data.length);
}

describe('the STUN codec under fuzz', () => {
  test('what is written is read back the same', () => {
    fc.assert(
      fc.property(message, (original) => {
        const { notUnderstood, ...read } = decodeStun(encodeStun(original)) ?? { notUnderstood: ['none'] };
        expect(notUnderstood).toEqual([]);
        expect(read).toEqual(original);
      }),
      { numRuns: 3000 },
    );
  });

  test('no bytes make it throw, and it never reads past the datagram', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), framed), (data) => {
        const alone = decodeStun(Buffer.from(data));
        expect(decodeStun(surrounded(data))).toEqual(alone);
      }),
      { numRuns: 6000 },
    );
  });

  test('one flipped octet of a real answer never yields a message with another id or a bad port', () => {
    const real = encodeStun({
      kind: 'success',
      id: Buffer.concat([COOKIE, Buffer.alloc(12, 7)]),
      mapped: { address: '192.0.2.1', port: 4000 },
      xorMapped: { address: '192.0.2.1', port: 4000 },
      other: { address: '2001:db8::1', port: 3479 },
    });
    fc.assert(
      fc.property(fc.nat(real.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const bytes = Buffer.from(real);
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        const read = decodeStun(bytes);
        if (read) {
          expect(read.id.equals(bytes.subarray(4, 20))).toBe(true);
          for (const found of [read.mapped, read.xorMapped, read.other]) {
            expect(found === undefined || (found.port >= 0 && found.port <= 65_535)).toBe(true);
          }
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('addresses survive text and octets, in one spelling', () => {
    fc.assert(
      fc.property(fc.oneof(octets(4), octets(16)), (bytes) => {
        const text = bytesToAddress(bytes);
        expect(addressToBytes(text).equals(bytes)).toBe(true);
        expect(bytesToAddress(addressToBytes(text.toUpperCase()))).toBe(text);
      }),
      { numRuns: 3000 },
    );
  });
});
