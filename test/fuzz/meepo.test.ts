import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isAwlError } from '../../src/errors.js';
import { decodeEvent } from '../../src/wire/meepo/event.js';
import { formatMeepoId, parseMeepoId } from '../../src/wire/meepo/id.js';
import { meepoKeys } from '../../src/wire/meepo/keys.js';
import { formatKeyFile, parseKeyFile } from '../../src/wire/meepo/openssh.js';
import { decodeBody, decodePacket, encodePacket, verifyPacket } from '../../src/wire/meepo/packet.js';
import { decodeHop, decodeWireBody } from '../../src/wire/meepo/wire-packet.js';
import { capturedEvents, capturedPackets, meepoFixture } from '../support/meepo-vectors.js';

/** Runs it; the only thing that may come of bad input is an error with a name. */
function named(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!isAwlError(error)) throw error;
  }
}

const mutated = (source: Buffer) =>
  fc.array(fc.tuple(fc.nat(source.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }).map((edits) => {
    const copy = Buffer.from(source);
    for (const [at, byte] of edits) copy[at] = byte;
    return copy;
  });

const readers: readonly ((bytes: Buffer) => unknown)[] = [
  decodePacket,
  decodeBody,
  decodeHop,
  decodeWireBody,
  (bytes) => decodeEvent(bytes.toString('base64')),
  (bytes) => decodeEvent(bytes.toString('latin1')),
  (bytes) => parseKeyFile(bytes.toString('latin1')),
  (bytes) => parseMeepoId(bytes.toString('latin1')),
];

test('random bytes give named errors only', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      for (const read of readers) named(() => read(Buffer.from(bytes)));
    }),
    { numRuns: 1000 },
  );
});

test('bent captures give named errors only, and a bent packet is never verified', () => {
  const packets = capturedPackets();
  const any = fc.constantFrom(...packets).chain((packet) => fc.tuple(fc.constant(packet), mutated(packet)));
  fc.assert(
    fc.property(any, ([original, bytes]) => {
      named(() => {
        const packet = decodePacket(bytes);
        if (verifyPacket(packet)) expect(encodePacket(packet).equals(original)).toBe(true);
      });
    }),
    { numRuns: 800 },
  );
  const events = fc.constantFrom(...capturedEvents().map(({ text }) => Buffer.from(text))).chain(mutated);
  fc.assert(
    fc.property(events, (bytes) => named(() => decodeEvent(bytes.toString('latin1')))),
    { numRuns: 1000 },
  );
});

test('bent key files give named errors only', () => {
  const raw = Buffer.from(meepoFixture('alice.pem').replace(/-----.*-----|\s/g, ''), 'base64');
  const wrap = (bytes: Buffer) =>
    `-----BEGIN OPENSSH PRIVATE KEY-----\n${bytes.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`;
  fc.assert(
    fc.property(mutated(raw), (bytes) => named(() => parseKeyFile(wrap(bytes), 'x'))),
    { numRuns: 800 },
  );
});

test('names and key files come back as they went out', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.string({ maxLength: 80 }),
      (seed, comment) => {
        const keys = meepoKeys(Buffer.from(seed));
        expect(formatMeepoId(parseMeepoId(keys.id))).toBe(keys.id);
        expect(parseKeyFile(formatKeyFile({ keys, comment }))).toEqual({ keys, comment });
      },
    ),
    { numRuns: 200 },
  );
});
