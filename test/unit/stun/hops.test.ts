import { afterEach, expect, test } from 'vitest';
import { measureHops } from '../../../src/stun/hops.js';
import { probe } from '../../../src/stun/probe.js';
import { StunServer } from '../../../src/stun/server.js';
import { UdpSocket } from '../../../src/util/udp.js';
import { FakeStunServer, success } from '../../support/stun-fake.js';

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
});
const options = () => ({ bindAddress: '127.0.0.1', schedule: [20, 20], signal: AbortSignal.timeout(5000) });

test('the smallest TTL whose hole lets the other address in is named', async () => {
  const server = await StunServer.start({ addresses: ['127.0.0.1', '127.0.0.2'], port: 0, altPort: 0 });
  opened.push(server);
  const socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  opened.push(socket);
  const { alternate } = await probe(socket, [server.endpoint]).first;
  expect(alternate?.address).toBe('127.0.0.2');
  // Nothing filters on loopback, so that the first TTL that is tried is let in.
  expect(await measureHops(server.endpoint, alternate ?? server.endpoint, options())).toBe(2);
});

test('where anybody is let in, every TTL seems to leave: nothing is known', async () => {
  const server = await StunServer.start({ addresses: ['127.0.0.1', '127.0.0.2'], port: 0, altPort: 0 });
  opened.push(server);
  const socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  opened.push(socket);
  const measuring = probe(socket, [server.endpoint]);
  expect((await measuring.report).filtering).toBe('endpoint-independent');
  expect(measuring.hops()).toBeUndefined();
});

test('a server that ignores CHANGE-REQUEST teaches nothing, and what it gets is little', async () => {
  let asked = 0;
  const server = await FakeStunServer.start((request, from) => {
    asked += 1;
    return [success(request, from)];
  });
  opened.push(server);
  const other = { address: '127.0.0.2', port: server.endpoint.port };
  expect(await measureHops(server.endpoint, other, options())).toBeUndefined();
  expect(asked).toBeLessThanOrEqual(25);
});

test('an abort ends it at once and leaves nothing open', async () => {
  const server = { address: '127.0.0.1', port: 9 };
  const controller = new AbortController();
  const measuring = measureHops(server, server, {
    ...options(),
    schedule: [60_000],
    signal: controller.signal,
  });
  controller.abort(new Error('enough'));
  await expect(measuring).rejects.toThrow('enough');
});
