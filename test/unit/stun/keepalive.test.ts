import { afterEach, expect, test } from 'vitest';
import { keepMapping } from '../../../src/stun/keepalive.js';
import type { Endpoint } from '../../../src/util/endpoint.js';
import { UdpSocket } from '../../../src/util/udp.js';
import { FakeStunServer, success } from '../../support/stun-fake.js';

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
});

test('a mapping that moves is reported once a move, and not before it moved', async () => {
  const socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  const ports = [100, 100, 200, 200, 100];
  const fake = await FakeStunServer.start((request) => [
    success(request, { address: '127.0.0.1', port: ports[fake.requests.length - 1] ?? 100 }),
  ]);
  opened.push(socket, fake);
  const controller = new AbortController();
  const moves: Endpoint[] = [];
  await keepMapping(socket, fake.endpoint, {
    everyMs: 1,
    onChange: (endpoint) => {
      moves.push(endpoint);
      if (moves.length === 2) controller.abort();
    },
    signal: controller.signal,
  });
  expect(moves.map(({ port }) => port)).toEqual([200, 100]);
});

test('a move since the endpoint was first learnt is reported too', async () => {
  const socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  const fake = await FakeStunServer.start((request, from) => [success(request, from)]);
  opened.push(socket, fake);
  const controller = new AbortController();
  const moved = new Promise<Endpoint>((resolve) => {
    void keepMapping(socket, fake.endpoint, {
      everyMs: 1,
      known: { address: '127.0.0.1', port: 9 },
      onChange: resolve,
      signal: controller.signal,
    });
  });
  expect(await moved).toEqual(socket.local);
  controller.abort();
});

test('a dead server does not end it, an abort and a closed socket do', async () => {
  const socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  const fake = await FakeStunServer.start((request, from) =>
    fake.requests.length > 3 ? [success(request, from)] : [],
  );
  opened.push(socket, fake);
  const controller = new AbortController();
  const options = { everyMs: 1, schedule: [2], onChange: () => {}, signal: controller.signal };
  const kept = keepMapping(socket, fake.endpoint, options);
  while (fake.requests.length < 5) await new Promise((resolve) => setTimeout(resolve, 2));
  controller.abort();
  await kept;
  await socket.close();
  await keepMapping(socket, fake.endpoint, { ...options, signal: new AbortController().signal });
  expect(fake.requests.length).toBeGreaterThanOrEqual(5);
});
