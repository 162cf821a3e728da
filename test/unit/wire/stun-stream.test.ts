import fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeStun } from '../../../src/wire/stun.js';
import { StunStream } from '../../../src/wire/stun-stream.js';

const MAX = 1024;
const message = fc
  .record({ id: fc.uint8Array({ minLength: 16, maxLength: 16 }), port: fc.integer({ min: 1, max: 65_535 }) })
  .map(({ id, port }) =>
    encodeStun({ kind: 'success', id: Buffer.from(id), mapped: { address: '203.0.113.7', port } }),
  );

test('messages come out whole however the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 5 }), fc.array(fc.nat(40)), (messages, cuts) => {
      const all = Buffer.concat(messages);
      const stream = new StunStream(MAX);
      const out: Buffer[] = [];
      let at = 0;
      for (const cut of [...cuts, all.length]) {
        const end = Math.min(all.length, at + cut);
        out.push(...(stream.take(all.subarray(at, end)) ?? expect.unreachable('refused')));
        at = end;
      }
      expect(out.map((one) => one.toString('hex'))).toEqual(messages.map((one) => one.toString('hex')));
    }),
    { numRuns: 1_000 },
  );
});

test('another protocol and an oversized message are told apart from STUN at their header', () => {
  expect(new StunStream(MAX).take(Buffer.from('SSH-2.0-OpenSSH_9.2p1 Debian'))).toBeUndefined();
  const long = Buffer.alloc(20);
  long.writeUInt16BE(MAX, 2);
  expect(new StunStream(MAX).take(long)).toBeUndefined();
});

test('whatever comes in crumbs, less than a message is held', () => {
  const stream = new StunStream(MAX);
  const header = Buffer.alloc(20);
  header.writeUInt16BE(MAX - 20, 2);
  expect(stream.take(header)).toEqual([]);
  for (let n = 20; n < MAX - 1; n++) expect(stream.take(Buffer.alloc(1))).toEqual([]);
  expect(stream.take(Buffer.alloc(1))).toHaveLength(1);
});
