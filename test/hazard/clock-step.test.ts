import { beforeAll, expect, test } from 'vitest';
import { SIGNING_TIME_WINDOW_MS } from '../../src/constants.js';
import type { HostIdentity } from '../../src/identity/repository.js';
import { craftSealed, usualAttributes } from '../support/crafted-signature.js';
import {
  after,
  invitation,
  REFERENCE,
  receive,
  refusal,
  REFERENCE_TEXT as text,
} from '../support/exchange.js';
import { makeParty } from '../support/parties.js';

const HOUR = 3600_000;
let alice: HostIdentity;
let bob: HostIdentity;

beforeAll(() => {
  alice = makeParty('alice@px.test/pinA');
  bob = makeParty('bob@px.test/pinB');
});

test.each([-HOUR, HOUR, -SIGNING_TIME_WINDOW_MS - 1000, SIGNING_TIME_WINDOW_MS + 1000])(
  'a clock that is %d ms off refuses, and says by how much',
  (ms) => {
    for (const extension of [undefined, {}]) {
      const sealed = invitation(alice, bob, { ...(extension && { extension }) });
      const error = refusal(() => receive(sealed, bob, alice, { now: after(ms) }), 'MESSAGE_STALE');
      expect(error.message).toContain(`${Math.abs(ms) / 1000} s ${ms > 0 ? 'ago' : 'in the future'}`);
      expect(error.hint).toContain('clocks');
    }
  },
);

test.each([-SIGNING_TIME_WINDOW_MS, -1000, 0, 1000, SIGNING_TIME_WINDOW_MS])(
  'a clock that is %d ms off still opens',
  (ms) => {
    const sealed = invitation(alice, bob, { extension: {} });
    expect(receive(sealed, bob, alice, { now: after(ms) }).reference).toEqual(REFERENCE);
  },
);

test('the expiry of the extension counts inside the window', () => {
  const exp = Math.floor(after(60_000).getTime() / 1000);
  const sealed = invitation(alice, bob, { extension: { exp } });
  expect(receive(sealed, bob, alice, { now: after(59_000) }).extension?.exp).toBe(exp);
  refusal(() => receive(sealed, bob, alice, { now: after(61_000) }), 'MESSAGE_STALE');
});

test('an expiry far ahead does not widen the window', () => {
  const sealed = invitation(alice, bob, { extension: { exp: 253_402_300_799 } });
  refusal(() => receive(sealed, bob, alice, { now: after(HOUR) }), 'MESSAGE_STALE');
});

test('a signature that does not say when it was made is stale', () => {
  const attributes = usualAttributes(text).toSpliced(1, 1);
  const sealed = craftSealed(bob, { text, signers: [{ by: alice, attributes }] });
  refusal(() => receive(sealed, bob, alice), 'MESSAGE_STALE');
});

test('what is not for us is never called stale: a caller may delete stale messages', () => {
  const sealed = invitation(alice, bob, { app: 'chat', extension: {} });
  refusal(() => receive(sealed, bob, alice, { now: after(HOUR) }), 'MESSAGE_MISDIRECTED');
});

test('an honest mail that took 4 minutes is in time, one of 6 minutes is not', () => {
  const sealed = invitation(alice, bob);
  expect(receive(sealed, bob, alice, { now: after(4 * 60_000) }).reference).toEqual(REFERENCE);
  refusal(() => receive(sealed, bob, alice, { now: after(6 * 60_000) }), 'MESSAGE_STALE');
});
