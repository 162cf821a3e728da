import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { LABEL_MS, SINKS_PER_PEER, STREAMS_PER_PEER } from '../../src/meepo/limits.js';
import { encodeBody } from '../../src/wire/meepo/packet.js';
import { meepoPair } from '../support/meepo-pair.js';

/** No connection waits too long for its label here, and no request for its answer, however slow the machine is. */
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** A service that counts who is connected, and a peer that asks for it. */
async function scene() {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {}).once('close', () => open.delete(socket));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const [peer, own] = meepoPair();
  onTestFinished(() => {
    own.sinks.forget(own.transport);
    for (const socket of open) socket.destroy();
    server.close();
  });
  const reaches = async (count: number) => {
    const end = performance.now() + 30_000;
    while (open.size !== count && performance.now() < end) await new Promise(setImmediate);
    expect(open.size).toBe(count);
  };
  const at = server.address();
  const place = {
    ...{ LocalNetwork: 'tcp', LocalAddress: '127.0.0.1:8080', RemoteNetwork: 'tcp', HashedSecret: '' },
    RemoteAddress: `127.0.0.1:${typeof at === 'object' && at ? at.port : 0}`,
  };
  const { conversation } = peer.transport;
  return {
    own,
    reaches,
    make: (name: string) => conversation.request('newTeleportation', encodeBody({ ...place, Name: name })),
    dial: (name: string, label: string) =>
      conversation.request('doTeleport', encodeBody({ Name: name, Label: label })),
  };
}

test('a peer that makes teleportations without end gets so many, and may have the old ones anew', async () => {
  const { own, make } = await scene();
  for (let i = 0; i < SINKS_PER_PEER; i++) await make(`n${i}`);
  await expect(make('one more')).rejects.toThrow('too many teleportations');
  await make('n0');
  expect(own.sinks.all).toHaveLength(SINKS_PER_PEER);
});

test('a peer that asks for connections without end gets so many', async () => {
  const { own, make, dial } = await scene();
  await make('web');
  for (let i = 0; i < STREAMS_PER_PEER; i += 32) {
    await Promise.all(Array.from({ length: 32 }, (_, n) => dial('web', `web:${i + n}`)));
  }
  await expect(dial('web', 'one more')).rejects.toThrow('too many connections');
  expect(own.sinks.all[0]?.streams.size).toBe(STREAMS_PER_PEER);
});

test('a connection that is asked for and not taken ends, and all of them end with the path', async () => {
  const { own, reaches, make, dial } = await scene();
  await make('web');
  await dial('web', 'web:1');
  await reaches(1);
  await vi.advanceTimersByTimeAsync(LABEL_MS + 1);
  await reaches(0);
  await dial('web', 'web:2');
  await reaches(1);
  own.sinks.forget(own.transport);
  await reaches(0);
  expect(own.sinks.all).toEqual([]);
});
