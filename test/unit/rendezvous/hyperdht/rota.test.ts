import { beforeEach, expect, test } from 'vitest';
import type { DhtPeer } from '../../../../src/rendezvous/hyperdht/library.js';
import {
  DHT_COURIER_TURN_MS,
  DHT_COURIERS_MAX,
  DHT_SILENT_PAUSE_MS,
} from '../../../../src/rendezvous/hyperdht/limits.js';
import { Rota } from '../../../../src/rendezvous/hyperdht/rota.js';

interface Visit {
  readonly name: string;
  readonly signal: AbortSignal;
  end(error?: Error): Promise<void>;
}

let now: number;
let visits: Visit[];
let failed: string[];
let stop: AbortController;
let rota: Rota;

beforeEach(() => {
  now = 0;
  visits = [];
  failed = [];
  stop = new AbortController();
  rota = new Rota({
    now: () => now,
    visit: ({ publicKey }, signal) =>
      new Promise<void>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
        visits.push({
          name: publicKey.toString(),
          signal,
          async end(error) {
            if (error) reject(error);
            else resolve();
            await settle();
          },
        });
      }),
    onFailure: ({ publicKey }) => failed.push(publicKey.toString()),
    signal: stop.signal,
  });
});

const settle = () => new Promise((resolve) => setImmediate(resolve));
const peer = (name: string): DhtPeer => ({ publicKey: Buffer.from(name), relayAddresses: [] });
const names = () => visits.map(({ name }) => name);
const add = (...list: string[]) => {
  for (const name of list) rota.add(peer(name));
};

test('whoever is announced is visited at once, and once, however often it is named', () => {
  add('a', 'b', 'a', 'a', 'b');
  expect(names()).toEqual(['a', 'b']);
});

test('who answered is not visited again; who was silent is, after a pause that grows', async () => {
  add('a', 'b');
  await visits[0]!.end();
  await visits[1]!.end(new Error('silent'));
  add('a', 'b');
  expect(names()).toEqual(['a', 'b']);
  now += DHT_SILENT_PAUSE_MS;
  add('a', 'b');
  expect(names()).toEqual(['a', 'b', 'b']);
  await visits[2]!.end(new Error('silent'));
  now += DHT_SILENT_PAUSE_MS;
  add('b');
  expect(names()).toHaveLength(3);
  now += DHT_SILENT_PAUSE_MS;
  add('b');
  expect(names()).toHaveLength(4);
  expect(failed).toEqual(['b', 'b']);
});

test('more than fit wait in line; a fresh visit is never cut short for them', async () => {
  const crowd = Array.from({ length: DHT_COURIERS_MAX + 5 }, (_, i) => `p${i}`);
  add(...crowd);
  expect(visits).toHaveLength(DHT_COURIERS_MAX);
  expect(visits.every(({ signal }) => !signal.aborted)).toBe(true);
  await visits[0]!.end();
  expect(names().at(-1)).toBe(`p${DHT_COURIERS_MAX}`);
});

test('lingering strangers make room after their turn, and come again behind those who never failed', async () => {
  const crowd = Array.from({ length: DHT_COURIERS_MAX }, (_, i) => `p${i}`);
  add(...crowd, 'real');
  expect(names()).not.toContain('real');
  now += DHT_COURIER_TURN_MS;
  rota.turn();
  await settle();
  expect(names()).toContain('real');
  now += DHT_SILENT_PAUSE_MS;
  add(...crowd, ...crowd, 'new');
  expect(names()).not.toContain('new');
  now += DHT_COURIER_TURN_MS;
  rota.turn();
  await settle();
  expect(names().filter((name) => name === 'new')).toHaveLength(1);
});

test('with room for all, a visit may last as long as it likes', async () => {
  add('slow');
  now += 100 * DHT_COURIER_TURN_MS;
  add('other');
  rota.turn();
  await settle();
  expect(visits[0]!.signal.aborted).toBe(false);
});

test('no number of names makes memory or visits grow without end', () => {
  for (let i = 0; i < 10_000; i++) add(`p${i}`);
  expect(visits).toHaveLength(DHT_COURIERS_MAX);
});

test('after the end nobody is visited any more', async () => {
  add('a');
  stop.abort(new Error('over'));
  await settle();
  add('b');
  rota.turn();
  expect(names()).toEqual(['a']);
  expect(visits[0]!.signal.aborted).toBe(true);
  expect(failed).toEqual([]);
});
