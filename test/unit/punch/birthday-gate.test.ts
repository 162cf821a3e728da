import { expect, test } from 'vitest';
import { BirthdayGate } from '../../../src/punch/birthday-gate.js';
import { WIDE_EVERY_MS } from '../../../src/punch/limits.js';

test('one attempt at a time, whoever the peers are', () => {
  const gate = new BirthdayGate();
  const [one, two] = [{}, {}];
  expect(gate.enter(one, 'alice', 0)).toBe(true);
  expect(gate.enter(one, 'alice', 10)).toBe(true);
  expect(gate.enter(two, 'bob', 10)).toBe(false);
  gate.leave(two);
  expect(gate.enter(two, 'bob', 20)).toBe(false);
  gate.leave(one);
  expect(gate.enter(two, 'bob', 30)).toBe(true);
});

test('one attempt a minute with each peer, however many invitations it signs', () => {
  const gate = new BirthdayGate();
  let admitted = 0;
  for (let now = 0; now < 10 * WIDE_EVERY_MS; now += 1000) {
    const session = {};
    if (gate.enter(session, 'mallory', now)) admitted += 1;
    gate.leave(session);
  }
  expect(admitted).toBe(10);
});

test('a crowd of identities does not grow the table', () => {
  const gate = new BirthdayGate();
  let admitted = 0;
  for (let peer = 0; peer < 10_000; peer++) {
    const session = {};
    if (gate.enter(session, `peer ${peer}`, 1)) admitted += 1;
    gate.leave(session);
  }
  expect(admitted).toBeLessThanOrEqual(4096);
});
