import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { StunServer } from '../../../src/stun/server.js';
import { bindTcp, type TcpBinding } from '../../../src/stun/tcp-client.js';
import { STUN_TCP_REQUESTS } from '../../../src/stun/tcp-limits.js';
import { decodeStun, encodeStun } from '../../../src/wire/stun.js';

const ANY = { address: '127.0.0.1', port: 0 };
const opened: { close(): Promise<void> | void }[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
});

async function start(addresses = ['127.0.0.1', '127.0.0.2']): Promise<StunServer> {
  const server = await StunServer.start({ addresses, port: 0, altPort: 0 });
  opened.push(server);
  return server;
}

async function ask(server: { address: string; port: number }, local = ANY): Promise<TcpBinding> {
  const answer = await bindTcp(local, server);
  opened.push({ close: () => void answer.socket.destroy() });
  return answer;
}

async function talk(server: StunServer): Promise<Socket> {
  const socket = connect(server.endpoint.port, server.endpoint.address);
  opened.push({ close: () => void socket.destroy() });
  await once(socket, 'connect');
  return socket;
}

async function serving(reply: (socket: Socket, data: Buffer) => void) {
  const server = createServer((socket) => {
    opened.push({ close: () => void socket.destroy() });
    socket.on('error', () => {}).on('data', (data) => reply(socket, data));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  opened.push({ close: () => void server.close() });
  return { address: '127.0.0.1', port: (server.address() as { port: number }).port };
}

test('the server says over TCP where it saw us, and where else it can be asked', async () => {
  const server = await start();
  const answer = await ask(server.endpoint);
  expect(answer.mapped).toEqual(answer.local);
  expect(answer.local.port).toBeGreaterThan(0);
  expect(answer.alternate).toEqual({ address: '127.0.0.2', port: server.layout.altPort });
});

test('the port that was asked from can be used for other connections while the first one stands, and after it', async () => {
  const server = await start();
  const first = await ask(server.endpoint);
  const second = await ask({ address: '127.0.0.2', port: server.layout.altPort }, first.local);
  expect(second.mapped).toEqual(first.mapped);
  first.socket.resetAndDestroy();
  await once(first.socket, 'close');
  const third = await ask({ address: '127.0.0.1', port: server.layout.altPort }, first.local);
  expect(third.mapped.port).toBe(first.local.port);
});

test('a request of the real plexus 3.4 is answered with every field that it reads', async () => {
  const url = new URL('../../fixtures/stun/plexus-tcp.json', import.meta.url);
  const { request } = JSON.parse(readFileSync(url, 'utf8')) as { request: string };
  const server = await start();
  const socket = await talk(server);
  socket.write(Buffer.from(request, 'hex'));
  const [data] = (await once(socket, 'data')) as [Buffer];
  expect(decodeStun(data)).toMatchObject({
    kind: 'success',
    mapped: { port: socket.localPort },
    xorMapped: { port: socket.localPort },
    source: server.endpoint,
    changed: { address: '127.0.0.2', port: server.layout.altPort },
    other: { address: '127.0.0.2', port: server.layout.altPort },
  });
});

test('what is no STUN, a wish for another address, and too many requests end the connection', async () => {
  const server = await start();
  const request = (change = false) =>
    encodeStun({
      kind: 'request',
      id: Buffer.from('2112a442000102030405060708090a0b', 'hex'),
      ...(change && { change: { ip: true, port: true } }),
    });
  for (const bytes of [Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), request(true)]) {
    const socket = await talk(server);
    socket.write(bytes);
    socket.resume();
    await once(socket, 'close');
  }
  const socket = await talk(server);
  let answered = 0;
  socket.on('data', (data: Buffer) => {
    answered += data.length;
  });
  const one = decodeStun(request());
  expect(one?.kind).toBe('request');
  for (let n = 0; n <= STUN_TCP_REQUESTS; n++) socket.write(request());
  await once(
    socket.on('error', () => {}),
    'close',
  );
  expect(answered).toBeGreaterThan(0);
});

test('a server that closes, speaks something else or lies is named', async () => {
  const closed = await serving((socket) => socket.end());
  await expect(bindTcp(ANY, closed)).rejects.toMatchObject({ code: 'STUN_UNREACHABLE' });
  const ssh = await serving((socket) => socket.write('SSH-2.0-OpenSSH_9.2p1 Debian'));
  await expect(bindTcp(ANY, ssh)).rejects.toThrow(/something else/);
  const liar = await serving((socket, data) =>
    socket.write(
      encodeStun({
        kind: 'success',
        id: data.subarray(4, 20),
        xorMapped: { address: '0.0.0.0', port: 5 },
      }),
    ),
  );
  await expect(bindTcp(ANY, liar)).rejects.toThrow(/cannot be/);
});

test('a wait is ended by its signal', async () => {
  const silent = await serving(() => {});
  const stop = new AbortController();
  const waiting = bindTcp(ANY, silent, stop.signal);
  stop.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
});
