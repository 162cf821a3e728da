import { randomBytes } from 'node:crypto';
import { afterEach, expect, test, vi } from 'vitest';
import { silentLogger } from '../../../../src/log.js';
import type { DhtNetwork } from '../../../../src/rendezvous/opendht/network.js';
import type { DhtNode } from '../../../../src/rendezvous/opendht/node.js';
import { Subscription } from '../../../../src/rendezvous/opendht/subscription.js';

// The real one uses node:timers/promises, which fake clocks do not reach.
vi.mock('../../../../src/util/sleep.js', () => ({
  sleep: (ms: number, signal?: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', end);
        resolve();
      }, ms);
      signal?.addEventListener('abort', end, { once: true });
    }),
}));

const DAY_MS = 24 * 3_600_000;

afterEach(() => {
  vi.useRealTimers();
});

test('after a day without network the listener is in place again within ten seconds, and the day cost little', async () => {
  vi.useFakeTimers();
  const counts = { search: 0, join: 0, listen: 0, registered: 0 };
  let up = true;
  const endpoint = { address: '192.0.2.10', port: 4222 };
  const node = {
    updates: {
      register: () => {
        counts.registered++;
        return { socketId: 1, stop: () => {} };
      },
    },
    ask: async () => {
      counts.listen++;
      return up ? { type: 'reply' } : { type: 'silence' };
    },
  } as unknown as DhtNode;
  const network = {
    eachNode: (use: (node: DhtNode) => unknown) => {
      use(node);
      return () => {};
    },
    search: async () => {
      counts.search++;
      return up ? [{ endpoint, token: randomBytes(8), id: randomBytes(20), values: [] }] : [];
    },
    join: async () => {
      counts.join++;
    },
  } as unknown as DhtNetwork;
  const stop = new AbortController();
  const key = randomBytes(20);
  const options = { network, key, onValue: () => {}, log: silentLogger, signal: stop.signal };
  const running = new Subscription(options).run();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(counts.listen).toBeGreaterThan(2);

  up = false;
  await vi.advanceTimersByTimeAsync(60_000);
  const before = { ...counts };
  await vi.advanceTimersByTimeAsync(DAY_MS);
  // Ten seconds between tries, of which up to half is chance.
  expect(counts.search - before.search).toBeGreaterThan(DAY_MS / 10_000 / 2);
  expect(counts.search - before.search).toBeLessThan(DAY_MS / 5_000 + 2);
  expect(counts.registered).toBe(1);
  expect(vi.getTimerCount()).toBeLessThan(4);

  up = true;
  counts.listen = 0;
  await vi.advanceTimersByTimeAsync(10_100);
  expect(counts.listen).toBeGreaterThan(0);
  stop.abort();
  await running;
  expect(vi.getTimerCount()).toBe(0);
});
