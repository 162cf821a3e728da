import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Inbox, type SlowReader } from '../../../src/meepo/inbox.js';
import { IN_HIGH_BYTES, STALL_MS } from '../../../src/meepo/limits.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

function reader(waiting: number): SlowReader & { waiting: number; takenAt: number; lost: boolean } {
  return {
    waiting,
    takenAt: performance.now(),
    lost: false,
    giveUp() {
      this.lost = true;
    },
  };
}

test('what waits beyond the limit is taken from the window of the peer, and given back when half of it is read', () => {
  let window = 0;
  const inbox = new Inbox((bytes) => {
    window += bytes;
  });
  inbox.arrived(IN_HIGH_BYTES);
  expect(window).toBe(0);
  inbox.arrived(1000);
  inbox.arrived(500);
  expect(window).toBe(-1500);
  inbox.taken(IN_HIGH_BYTES / 4);
  expect(window).toBe(-1500);
  inbox.taken(IN_HIGH_BYTES / 4 + 1500);
  expect(window).toBe(0);
  expect(inbox.waiting).toBe(IN_HIGH_BYTES / 2);
  inbox.close();
});

test('a reader that takes nothing for half a minute while too much waits is given up, and no other', () => {
  const inbox = new Inbox(() => {});
  const [stuck, slow, idle] = [reader(IN_HIGH_BYTES), reader(1000), reader(0)];
  const [leave] = [stuck, slow, idle].map((one) => inbox.join(one));
  inbox.arrived(IN_HIGH_BYTES);
  vi.advanceTimersByTime(10 * STALL_MS);
  expect(stuck.lost).toBe(false);
  inbox.arrived(1000);
  for (let i = 0; i < 4; i++) {
    slow.takenAt = performance.now();
    vi.advanceTimersByTime(STALL_MS / 3);
  }
  expect([stuck.lost, slow.lost, idle.lost]).toEqual([true, false, false]);
  leave?.();
  stuck.lost = false;
  inbox.taken(IN_HIGH_BYTES + 1000);
  slow.takenAt = -10 * STALL_MS;
  vi.advanceTimersByTime(10 * STALL_MS);
  expect([stuck.lost, slow.lost]).toEqual([false, false]);
  inbox.close();
});
