import { EventEmitter } from 'node:events';
import { afterEach, expect, test, vi } from 'vitest';
import { silentLogger } from '../../../../src/log.js';
import type { DhtLibrary } from '../../../../src/rendezvous/hyperdht/library.js';
import type { ClientNode } from '../../../../src/rendezvous/hyperdht/node.js';
import { Outbox } from '../../../../src/rendezvous/hyperdht/outbox.js';
import { placeOf } from '../../../../src/rendezvous/hyperdht/place.js';

// The real one uses node:timers/promises, which fake clocks do not reach.
vi.mock('../../../../src/util/sleep.js', () => ({
  sleep: (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms)),
}));

afterEach(() => {
  vi.useRealTimers();
});

/** A look that ends when it is told to. */
class SlowQuery extends EventEmitter {
  end = () => {};
  readonly #ended = new Promise<void>((resolve) => {
    this.end = resolve;
  });

  destroy(): void {
    this.end();
  }

  [Symbol.asyncIterator](): AsyncIterator<never, void> {
    return { next: () => this.#ended.then(() => ({ done: true, value: undefined })) };
  }
}

test('looks that nobody answers do not pile up, and go on when one has ended', async () => {
  vi.useFakeTimers();
  const queries: SlowQuery[] = [];
  const lookup = () => {
    const query = new SlowQuery();
    queries.push(query);
    return query;
  };
  const stop = new AbortController();
  const outbox = new Outbox({
    library: { keyPair: () => ({ publicKey: Buffer.alloc(32) }) } as unknown as DhtLibrary,
    client: () => ({ node: { lookup } }) as unknown as ClientNode,
    carrier: undefined,
    place: placeOf('test', Buffer.alloc(32, 1)),
    box: Buffer.from('box'),
    log: silentLogger,
    onAnswer: () => {},
  });
  const running = outbox.run(stop.signal);
  await vi.advanceTimersByTimeAsync(10 * 60_000);
  expect(queries).toHaveLength(4);
  queries[0]!.end();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(queries).toHaveLength(5);
  stop.abort();
  await vi.advanceTimersByTimeAsync(5_000);
  await running;
});
