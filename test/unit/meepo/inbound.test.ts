import { expect, test } from 'vitest';
import { Inbound } from '../../../src/meepo/sctp/inbound.js';
import { MESSAGE_MAX_BYTES, WINDOW_BYTES } from '../../../src/meepo/sctp/limits.js';
import { FIRST, LAST } from '../../../src/wire/sctp.js';

const piece = (tsn: number, flags: number, size: number, stream = 1) => ({
  ...{ tsn, flags, stream, sequence: 0, protocol: 53 },
  data: Buffer.alloc(size, tsn),
});

test('what comes before its time has the room that the peer was told of, and no more', () => {
  const inbound = new Inbound(1);
  const size = 1200;
  const fit = Math.floor(WINDOW_BYTES / size);
  for (let i = 0; i < fit; i++) expect(inbound.take(piece(2 + i, FIRST | LAST, size))).toEqual([]);
  expect(inbound.take(piece(2 + fit, FIRST | LAST, size))).toBeUndefined();
  expect(inbound.sack().window).toBeLessThan(size);
  // The missing one brings all of them, and the room.
  expect(inbound.take(piece(1, FIRST | LAST, size))).toHaveLength(fit + 1);
  expect(inbound.sack()).toEqual({ cumulative: 1 + fit, window: WINDOW_BYTES, gaps: [] });
});

test('a message without end, or out of pieces of several, ends the association', () => {
  const endless = new Inbound(1);
  endless.take(piece(1, FIRST, 1000));
  const feed = () => {
    for (let tsn = 2; tsn < 3 + MESSAGE_MAX_BYTES / 1000; tsn++) endless.take(piece(tsn, 0, 1000));
  };
  expect(feed).toThrow('too long');
  for (const flags of [0, LAST]) {
    expect(() => new Inbound(1).take(piece(1, flags, 10))).toThrow('missing');
  }
  const mixed = new Inbound(1);
  mixed.take(piece(1, FIRST, 10));
  expect(() => mixed.take(piece(2, LAST, 10, 2))).toThrow('missing');
});
