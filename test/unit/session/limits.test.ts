import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SessionLimits } from '../../../src/session/limits.js';

test('one identity cannot take more than its share of sessions', () => {
  const limits = new SessionLimits({ perPeer: 2, total: 10, queuePerPeer: 1 });
  for (let i = 0; i < 2; i++) {
    expect(limits.admit('eve', 0).verdict).toBe('start');
    limits.started('eve');
  }
  expect(limits.admit('eve', 0).verdict).toBe('queue');
  expect(limits.admit('eve', 0)).toEqual({
    verdict: 'refuse',
    reason: '2 sessions of this peer are being set up already, and 1 wait',
  });
  expect([limits.hasRoom('eve'), limits.hasRoom('bob')]).toEqual([false, true]);
  expect(limits.admit('bob', 0).verdict).toBe('start');
  limits.ended('eve', 'passage', 0);
  expect(limits.hasRoom('eve')).toBe(true);
  limits.dequeue('eve');
  limits.started('eve');
  expect(limits.admit('eve', 0).verdict).toBe('queue');
});

test('a crowd waits in a bounded queue and is refused with a reason beyond it', () => {
  const limits = new SessionLimits({ perPeer: 1, total: 1, queue: 2 });
  limits.started('a');
  expect(limits.admit('b', 0).verdict).toBe('queue');
  expect(limits.admit('c', 0).verdict).toBe('queue');
  expect(limits.admit('d', 0)).toEqual({ verdict: 'refuse', reason: '1 sessions run and 2 wait already' });
  limits.dequeue('b');
  expect(limits.admit('d', 0).verdict).toBe('queue');
});

test('a peer whose sessions keep failing waits longer each time, a good session clears it', () => {
  const limits = new SessionLimits({ freeFailures: 1 });
  const fail = (now: number) => {
    limits.started('eve');
    limits.ended('eve', 'failed', now);
  };
  fail(0);
  expect(limits.admit('eve', 1).verdict).toBe('start');
  fail(1000);
  expect(limits.admit('eve', 5999).verdict).toBe('refuse');
  expect(limits.admit('eve', 6000).verdict).toBe('start');
  fail(6000);
  expect(limits.admit('eve', 15_999).verdict).toBe('refuse');
  limits.started('eve');
  limits.ended('eve', 'passage', 16_000);
  expect(limits.admit('eve', 16_000).verdict).toBe('start');
});

test('who fails now and then, as one that looks for a way around a relay, is not shut out for it', () => {
  const limits = new SessionLimits();
  const quarter = 15 * 60_000 + 1;
  for (let i = 0; i < 50; i++) {
    expect(limits.admit('alice', i * quarter).verdict).toBe('start');
    limits.started('alice');
    limits.ended('alice', 'failed', i * quarter);
    expect(limits.admit('alice', i * quarter + 1).verdict).toBe('start');
  }
});

test('a penalty never grows beyond 15 minutes', () => {
  const limits = new SessionLimits({ freeFailures: 0 });
  for (let i = 0; i < 40; i++) {
    limits.started('eve');
    limits.ended('eve', 'failed', 0);
  }
  expect(limits.admit('eve', 15 * 60_000 - 1).verdict).toBe('refuse');
  expect(limits.admit('eve', 15 * 60_000).verdict).toBe('start');
});

test('counters return to zero whatever the order of sessions', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 50 }), (peers) => {
      const limits = new SessionLimits({ perPeer: 3, total: 5, queue: 3 });
      const running: string[] = [];
      const queued: string[] = [];
      for (const peer of peers) {
        const { verdict } = limits.admit(peer, 0);
        if (verdict === 'start') {
          limits.started(peer);
          running.push(peer);
        } else if (verdict === 'queue') queued.push(peer);
        expect(limits.running).toBeLessThanOrEqual(5);
        expect(limits.queued).toBeLessThanOrEqual(3);
      }
      for (const peer of running) limits.ended(peer, 'passage', 0);
      for (const peer of queued) limits.dequeue(peer);
      expect([limits.running, limits.queued]).toEqual([0, 0]);
    }),
    { numRuns: 1000 },
  );
});
