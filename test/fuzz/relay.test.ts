import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeRelay,
  encodeRelay,
  RELAY_REFUSALS,
  type RelayMessage,
  relaySigned,
} from '../../src/wire/relay.js';

const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((all) => Buffer.from(all));
const upTo = (maxLength: number) => fc.uint8Array({ maxLength }).map((all) => Buffer.from(all));
const role = fc.constantFrom('invite' as const, 'accept' as const);
const claim = { cookie: bytes(24), session: bytes(16), role };
const message: fc.Arbitrary<RelayMessage> = fc.oneof(
  fc.record({ type: fc.constant('ask' as const), nonce: bytes(16) }),
  fc.record({ type: fc.constant('challenge' as const), nonce: bytes(16), cookie: bytes(24) }),
  fc.record({
    ...{ type: fc.constant('bind' as const), nonce: bytes(16), ...claim },
    ...{ key: upTo(600), signature: upTo(520) },
  }),
  fc.record({ type: fc.constant('bound' as const), nonce: bytes(16), ready: fc.boolean() }),
  fc.record({
    ...{
      type: fc.constant('refused' as const),
      nonce: bytes(16),
      reason: fc.constantFrom(...RELAY_REFUSALS),
    },
  }),
);

test('a relay reads what a client writes, and the other way round', () => {
  fc.assert(
    fc.property(message, (one) => {
      expect(decodeRelay(encodeRelay(one))).toEqual(one);
    }),
  );
});

test('bytes that are cut, longer or of another kind are no message, and nothing throws', () => {
  fc.assert(
    fc.property(message, fc.nat(), upTo(8), (one, at, more) => {
      const whole = encodeRelay(one);
      expect(decodeRelay(whole.subarray(0, at % whole.length))).toBeUndefined();
      if (more.length > 0) expect(decodeRelay(Buffer.concat([whole, more]))).toBeUndefined();
    }),
  );
  fc.assert(
    fc.property(upTo(1500), (noise) => {
      expect(decodeRelay(noise)).toBeUndefined();
    }),
  );
});

test('a challenge is never longer than what asked for it', () => {
  const nonce = Buffer.alloc(16);
  const ask = encodeRelay({ type: 'ask', nonce });
  expect(encodeRelay({ type: 'challenge', nonce, cookie: Buffer.alloc(24) }).length).toBeLessThan(ask.length);
});

test('two claims that differ in anything are signed differently: relay, nonce, cookie, session, role', () => {
  const place = fc.record({ address: fc.ipV4(), port: fc.integer({ min: 1024, max: 65_535 }) });
  const all = fc.record({ place, nonce: bytes(16), ...claim });
  const text = ({
    place: at,
    nonce,
    ...rest
  }: { place: { address: string; port: number }; nonce: Buffer } & {
    cookie: Buffer;
    session: Buffer;
    role: 'invite' | 'accept';
  }) => relaySigned(at, nonce, rest).toString('hex');
  fc.assert(
    fc.property(all, all, (a, b) => {
      expect(text(a) === text(b)).toBe(JSON.stringify(a) === JSON.stringify(b));
      expect(text({ ...a, role: 'invite' })).not.toBe(text({ ...a, role: 'accept' }));
    }),
  );
});
