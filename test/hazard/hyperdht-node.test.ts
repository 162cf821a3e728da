import { expect, test } from 'vitest';
import { openHyperdht } from '../../src/rendezvous/hyperdht/backend.js';
import { startBootstrapNode } from '../../src/rendezvous/hyperdht/node.js';
import { CONTEXT, EchoingBob, exchange, invitation } from '../support/dht-sides.js';
import { freePort } from '../support/testnet.js';

const HOST = '127.0.0.1';

test('a single bootstrap node is a network: it stores, relays and counts', async () => {
  const port = await freePort();
  const node = await startBootstrapNode({ host: HOST, port });
  try {
    expect(node.endpoint).toEqual({ address: HOST, port });
    const settings = { bootstrap: [{ host: 'localhost', port }] };
    const bob = await EchoingBob.start(settings);
    const alice = await openHyperdht(settings, CONTEXT);
    await alice.prepare(AbortSignal.timeout(20_000));
    await exchange(alice, invitation());
    await alice.close();
    await bob.close();
    expect(node.metrics()).toEqual({ nodes: 0, asked: expect.any(Number), unanswered: expect.any(Number) });
  } finally {
    await node.close();
  }
});

test('nodes that name each other form one network, which outlives the first', async () => {
  const [first, second] = [await freePort(), await freePort()];
  const one = await startBootstrapNode({ host: HOST, port: first });
  const two = await startBootstrapNode({
    host: HOST,
    port: second,
    bootstrap: [{ host: HOST, port: first }],
  });
  try {
    expect(two.metrics().nodes).toBe(1);
    expect(one.metrics().nodes).toBe(1);
    await one.close();
    const settings = { bootstrap: [{ host: HOST, port: second }] };
    const bob = await EchoingBob.start(settings);
    const alice = await openHyperdht(settings, CONTEXT);
    await alice.prepare(AbortSignal.timeout(20_000));
    await exchange(alice, invitation());
    await alice.close();
    await bob.close();
  } finally {
    await one.close();
    await two.close();
  }
});

test('a taken port and an address that is none are said in words', async () => {
  const port = await freePort();
  const node = await startBootstrapNode({ host: HOST, port });
  await expect(startBootstrapNode({ host: HOST, port })).rejects.toMatchObject({ code: 'UDP_BIND' });
  await node.close();
  for (const [host, bad] of [
    ['::1', port],
    ['example.org', port],
    [HOST, 0],
    [HOST, 70_000],
  ] as const) {
    await expect(startBootstrapNode({ host, port: bad })).rejects.toMatchObject({ code: 'USAGE_BAD_VALUE' });
  }
});

test('closing gives the port back at once, twice over', async () => {
  const port = await freePort();
  for (let i = 0; i < 3; i++) {
    const node = await startBootstrapNode({ host: HOST, port });
    await Promise.all([node.close(), node.close()]);
  }
});
