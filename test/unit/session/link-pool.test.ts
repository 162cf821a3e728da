import { expect, test } from 'vitest';
import { silentLogger } from '../../../src/log.js';
import type { RendezvousSettings } from '../../../src/rendezvous/registry.js';
import { LinkPool } from '../../../src/session/link-pool.js';
import { tempDir } from '../../support/tmp.js';

const CONTEXT = { log: silentLogger, now: () => new Date() };
const opendht = (network: number, port = 0): RendezvousSettings => ({
  name: 'opendht',
  opendht: { bootstrap: [{ host: '127.0.0.1', port: 9 }], network, port },
});
const hyperdht: RendezvousSettings = {
  name: 'hyperdht',
  hyperdht: { bootstrap: [{ host: '127.0.0.1', port: 9 }] },
};

test('one node a network and port, from the first user to the last; folders are nobody else’s', async () => {
  const pool = new LinkPool();
  const wanted = [opendht(0), opendht(0), opendht(7), opendht(0, 4222), hyperdht, hyperdht];
  const links = await Promise.all(wanted.map((one) => pool.open(one, CONTEXT)));
  expect(pool.size).toBe(4);
  const folder = await pool.open({ name: 'file', folder: tempDir() }, CONTEXT);
  expect(pool.size).toBe(4);
  await links[0]!.close();
  await links[0]!.close();
  expect(pool.size).toBe(4);
  await links[1]!.close();
  expect(pool.size).toBe(3);
  await Promise.all([...links, folder].map((link) => link.close()));
  expect(pool.size).toBe(0);
  const again = await pool.open(opendht(0), CONTEXT);
  expect(pool.size).toBe(1);
  await again.close();
});

test('who leaves ends its own waiting and nobody else’s', async () => {
  const pool = new LinkPool();
  const [one, two] = [await pool.open(hyperdht, CONTEXT), await pool.open(hyperdht, CONTEXT)];
  const stop = new AbortController();
  const filter = { app: 'test', kind: 'accept', to: {}, from: {} } as const;
  let over = false;
  const first = (async () => {
    for await (const _ of one.listen(filter, stop.signal));
  })();
  const second = (async () => {
    for await (const _ of two.listen(filter, stop.signal));
    over = true;
  })();
  await one.close();
  await first;
  expect(over).toBe(false);
  await two.close();
  await second;
  expect(over).toBe(true);
});
