import { expect, test } from 'vitest';
import { PUNCH_HOPS } from '../../../src/constants.js';
import { OpenerSchedule } from '../../../src/punch/openers.js';

function run(role: 'accept' | 'invite', moving: boolean, untilMs: number): { at: number; ttl?: number }[] {
  const schedule = new OpenerSchedule({ role, hops: PUNCH_HOPS, moving }, 1000);
  const out: { at: number; ttl?: number }[] = [];
  for (let now = 1000; now <= 1000 + untilMs; now = Math.max(now + 1, schedule.next)) {
    for (const opener of schedule.due(now)) out.push({ at: now - 1000, ...opener });
  }
  return out;
}

test('the inviter knocks at once, then slower, with datagrams that arrive', () => {
  const openers = run('invite', false, 60_000);
  expect(openers.slice(0, 7).map(({ at }) => at)).toEqual([0, 100, 300, 700, 1500, 3100, 4700]);
  expect(openers.every(({ ttl }) => ttl === undefined)).toBe(true);
  expect(openers.length).toBeLessThan(64);
});

test('the acceptor first opens its own NAT only, and renews that before a mapping dies', () => {
  const openers = run('accept', false, 60_000);
  const quiet = openers.filter(({ ttl }) => ttl === PUNCH_HOPS).map(({ at }) => at);
  expect(quiet.slice(0, 5)).toEqual([0, 150, 500, 10_500, 20_500]);
  expect(openers.find(({ ttl }) => ttl === undefined)?.at).toBe(3000);
  expect(openers.length).toBeLessThan(64);
});

test('an acceptor that knows its mapping moves does not wait three seconds to be found', () => {
  expect(run('accept', true, 5000).find(({ ttl }) => ttl === undefined)?.at).toBe(300);
});
