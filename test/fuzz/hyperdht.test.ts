import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compact, expand } from '../../src/rendezvous/hyperdht/compact.js';
import { Inbox } from '../../src/rendezvous/hyperdht/inbox.js';
import {
  decodeKnock,
  decodeReply,
  encodeKnock,
  encodeReply,
  splitBox,
} from '../../src/rendezvous/hyperdht/knock.js';
import { DHT_FRAGMENT_BYTES, DHT_PAYLOAD_BYTES } from '../../src/rendezvous/hyperdht/limits.js';
import { openParcel, wrapParcel } from '../../src/rendezvous/hyperdht/parcel.js';
import { answerKey, letterId, placeOf } from '../../src/rendezvous/hyperdht/place.js';

const RUNS = { numRuns: 1000 };
const bytes = (max: number, min = 0) =>
  fc.uint8Array({ minLength: min, maxLength: max }).map((array) => Buffer.from(array));
const PLACE = placeOf('fuzz', Buffer.from('bob'));
const KEY = Buffer.alloc(32, 7);
/** Begins as ours do, so that more than the first check is tried. */
const nearlyOurs = bytes(1000).map((rest) => Buffer.concat([Buffer.from('awl1'), rest]));

test('whatever is knocked or replied is read or dropped, and what is read is written the same', () => {
  fc.assert(
    fc.property(fc.oneof(bytes(1200), nearlyOurs), (payload) => {
      const knock = decodeKnock(payload);
      if (knock) expect(decodeKnock(encodeKnock(knock))).toEqual(knock);
      const reply = decodeReply(payload);
      if (reply) expect(encodeReply(reply).subarray(7).equals(payload.subarray(7))).toBe(true);
    }),
    RUNS,
  );
});

/** Texts with what the compact form looks for: heads, empty lines, base64 in lines of 64 and others. */
const entities = fc
  .tuple(fc.constantFrom('A: b\r\n', 'MIME-Version: 1.0\r\n', '', '\r\n', 'x'), bytes(300), fc.boolean())
  .map(([head, body, wrapped]) => {
    const text = body.toString('base64');
    return Buffer.from(`${head}\r\n${wrapped ? text.replace(/.{1,64}/g, '$&\r\n') : text}`);
  });

test('every content comes back bit for bit, and is never more than a byte longer', () => {
  fc.assert(
    fc.property(fc.oneof(bytes(2000), entities), (content) => {
      const packed = compact(content);
      expect(packed.length).toBeLessThanOrEqual(content.length + 1);
      expect(expand(packed)?.equals(content)).toBe(true);
    }),
    RUNS,
  );
});

test('packed bytes that somebody made up are refused or read, never thrown at us', () => {
  fc.assert(
    fc.property(bytes(500), (packed) => {
      const content = expand(packed);
      expect(content === undefined || content instanceof Buffer).toBe(true);
    }),
    RUNS,
  );
});

test('a box that somebody made up opens nothing', () => {
  fc.assert(
    fc.property(bytes(400), fc.constantFrom('invite' as const, 'accept' as const), (box, kind) => {
      expect(openParcel(KEY, kind, box)).toBeUndefined();
    }),
    RUNS,
  );
});

test('a box with made-up content, by somebody who has the certificate, makes no name and no empty letter', () => {
  fc.assert(
    fc.property(bytes(300), (content) => {
      // A parcel without names, read as one with names.
      const { boxKey } = PLACE;
      const box = wrapParcel(boxKey, 'invite', { form: 'plain', bytes: content });
      const parcel = openParcel(boxKey, 'invite', box);
      if (!parcel) return;
      expect(parcel.bytes.length).toBeGreaterThan(0);
      for (const part of Object.values(parcel.names ?? {}).flatMap(({ owner, pin }) => [owner, pin])) {
        expect(part).toMatch(/^[A-Za-z0-9_@+][A-Za-z0-9._@+-]{0,63}$/);
      }
    }),
    RUNS,
  );
});

test('fragments in any order, repeated and mixed with others, make exactly the letters that were sent', () => {
  const letters = fc.array(bytes(3 * DHT_FRAGMENT_BYTES, 1), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(letters, fc.infiniteStream(fc.nat()), (boxes, order) => {
      const inbox = new Inbox(() => 0);
      const pieces = boxes.flatMap((box) => {
        const parts = splitBox(box);
        return parts.map((part, index) => ({ id: letterId(box), index, count: parts.length, bytes: part }));
      });
      const shuffled = [...pieces, ...pieces.slice(0, 3)]
        .map((piece) => ({ piece, rank: order.next().value ?? 0 }))
        .sort((a, b) => a.rank - b.rank)
        .map(({ piece }) => piece);
      const arrived = shuffled.flatMap((piece) => {
        const { arrived: letter } = inbox.take(PLACE, piece.id, piece, 'x');
        return letter ? [letter.box.toString('hex')] : [];
      });
      expect(new Set(arrived)).toEqual(new Set(boxes.map((box) => box.toString('hex'))));
      expect(arrived).toHaveLength(new Set(arrived).size);
      expect(inbox.bytes).toBe(0);
    }),
    RUNS,
  );
});

test('every part of a letter and of its answer fits one datagram', () => {
  fc.assert(
    fc.property(bytes(5000, 1), (content) => {
      const names = { from: { owner: 'a', pin: 'b' }, to: { owner: 'c', pin: 'd' } };
      const box = wrapParcel(PLACE.boxKey, 'invite', { form: 'smime', bytes: content, names });
      const id = letterId(box);
      const parts = splitBox(box);
      for (const [index, part] of parts.entries()) {
        const knock = {
          op: 'fragment',
          gate: id,
          id,
          hold: true,
          index,
          count: parts.length,
          bytes: part,
        } as const;
        expect(encodeKnock(knock).length).toBeLessThanOrEqual(DHT_PAYLOAD_BYTES);
        const reply = { op: 'answer', index, count: parts.length, bytes: part } as const;
        expect(encodeReply(reply).length).toBeLessThanOrEqual(DHT_PAYLOAD_BYTES);
      }
      expect(openParcel(PLACE.boxKey, 'invite', Buffer.concat(parts))?.bytes).toEqual(content);
      expect(openParcel(answerKey(PLACE, id), 'accept', box)).toBeUndefined();
    }),
    RUNS,
  );
});
