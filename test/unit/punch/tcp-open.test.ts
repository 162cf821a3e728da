import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { TCP_OPEN_TRIES } from '../../../src/punch/tcp-limits.js';
import { openTcp } from '../../../src/punch/tcp-open.js';

const LOOPBACK = '127.0.0.1';

async function freePort(): Promise<number> {
  const server = createServer().listen(0, LOOPBACK);
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test('a port that refuses is tried again, until somebody is there', async () => {
  const [own, other] = [await freePort(), await freePort()];
  const stop = new AbortController();
  const opening = openTcp({
    local: { address: LOOPBACK, port: own },
    peer: { address: LOOPBACK, port: other },
    signal: stop.signal,
  });
  await new Promise((resolve) => setTimeout(resolve, 60));
  const server = createServer().listen(other, LOOPBACK);
  const [accepted] = await once(server, 'connection');
  const socket = await opening;
  expect(socket?.localPort).toBe(own);
  expect(accepted.remotePort).toBe(own);
  socket?.destroy();
  accepted.destroy();
  server.close();
});

test('tries are counted, and nothing is left when they are used up', async () => {
  const peer = { address: LOOPBACK, port: await freePort() };
  const begun = performance.now();
  const result = await openTcp({
    local: { address: LOOPBACK, port: await freePort() },
    peer,
    signal: new AbortController().signal,
  });
  expect(result).toBeUndefined();
  expect(performance.now() - begun).toBeLessThan(TCP_OPEN_TRIES * 110 + 4_000);
});

test('a socket that would meet itself is no passage', async () => {
  const port = await freePort();
  const stop = new AbortController();
  const own = { address: LOOPBACK, port };
  const opening = openTcp({ local: own, peer: own, signal: stop.signal });
  await new Promise((resolve) => setTimeout(resolve, 200));
  stop.abort();
  expect(await opening).toBeUndefined();
});
