import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Association } from '../../src/meepo/sctp/association.js';
import { crc32c } from '../../src/wire/crc32c.js';
import { encodeChannelOpen, readChannelControl } from '../../src/wire/data-channel.js';
import {
  CHUNK,
  decodeSctp,
  encodeChunk,
  encodeInit,
  encodeResetRequest,
  encodeResetResponse,
  encodeSack,
  encodeSctp,
  readData,
  readInit,
  readReconfig,
  readSack,
} from '../../src/wire/sctp.js';

const u32 = fc.nat(0xffff_ffff);
const u16 = fc.nat(0xffff);
const bytes = (maxLength: number, minLength = 0) =>
  fc.uint8Array({ maxLength, minLength }).map((one) => Buffer.from(one));
const piece = fc.record({
  flags: fc.nat(7),
  tsn: u32,
  stream: u16,
  sequence: u16,
  protocol: u32,
  data: bytes(1300, 1),
});

test('the sum is CRC32C (RFC 3720 appendix B.4)', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe306_9283);
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a91_36aa);
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8_ab43);
});

test('what is written is read again', () => {
  const sack = fc.record({
    cumulative: u32,
    window: u32,
    gaps: fc.array(fc.tuple(u16, u16), { maxLength: 20 }),
  });
  const init = fc.record({
    ...{ tag: u32, window: u32, outbound: u16, inbound: u16, firstTsn: u32 },
    parameters: fc.array(fc.tuple(u16, bytes(40))).map((entries) => new Map(entries)),
  });
  const request = fc.record({ sequence: u32, lastTsn: u32, streams: fc.array(u16, { maxLength: 20 }) });
  fc.assert(
    fc.property(
      u32,
      fc.array(piece, { maxLength: 4 }),
      sack,
      init,
      request,
      (tag, pieces, one, two, three) => {
        const chunks = [
          encodeSack(one),
          encodeInit(CHUNK.init, two),
          encodeResetRequest(three),
          encodeResetResponse(7, 1),
        ];
        const packet = decodeSctp(encodeSctp(tag, chunks, pieces));
        expect(packet.tag).toBe(tag);
        const [first, second, third, fourth, ...rest] = packet.chunks;
        expect(readSack(first!)).toEqual(one);
        expect(readInit(second!)).toEqual(two);
        expect(readReconfig(third!)).toEqual({ request: three });
        expect(readReconfig(fourth!)).toEqual({ response: { sequence: 7, result: 1 } });
        expect(rest.map(readData)).toEqual(pieces);
      },
    ),
  );
});

test('the opening of a channel is read again, and nothing else is one', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 100 }), bytes(40), (label, noise) => {
      expect(readChannelControl(encodeChannelOpen(label))).toEqual({ label });
      readChannelControl(noise);
    }),
  );
});

test('no packet, whole or bent, does more to an association than end it', () => {
  const chunk = fc.tuple(fc.constantFrom(...Object.values(CHUNK), 192, 255), fc.nat(255), bytes(60));
  let ended = 0;
  fc.assert(
    fc.property(
      fc.array(fc.array(chunk, { maxLength: 4 }), { maxLength: 8 }),
      bytes(200),
      fc.boolean(),
      (packets, noise, whole) => {
        let tag = 0;
        let packetsOut = 0;
        const own = new Association({
          send: (out) => {
            packetsOut += out.length;
            for (const packet of out) {
              const chunk = decodeSctp(Buffer.from(packet)).chunks[0];
              if (chunk?.type === CHUNK.initAck) tag = readInit(chunk).tag;
            }
          },
          established: () => {},
          message: () => {},
          left: () => {},
          reset: () => {},
          ended: () => {
            ended += 1;
          },
        });
        try {
          own.receive(noise);
          const init = { tag: 9, window: 1000, outbound: 5, inbound: 5, firstTsn: 1, parameters: new Map() };
          if (whole) own.receive(encodeSctp(0, [encodeInit(CHUNK.init, init)]));
          for (const one of packets) {
            own.receive(
              encodeSctp(
                tag,
                one.map(([type, flags, body]) => encodeChunk(type, flags, body)),
              ),
            );
          }
          expect(packetsOut).toBeLessThan(50);
        } finally {
          own.close();
        }
      },
    ),
    { numRuns: 300 },
  );
  expect(ended).toBeGreaterThan(0);
});
