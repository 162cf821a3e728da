import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TcpRace } from '../../../src/session/tcp-race.js';
import { deriveTunnelTcpKeys } from '../../../src/wire/tunnel-tcp-keys.js';

const KEYS = deriveTunnelTcpKeys(Buffer.alloc(32, 0x11));
let server: Server;
let stop: AbortController;
const sockets: Socket[] = [];

beforeEach(async () => {
  stop = new AbortController();
  server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(() => {
  stop.abort(new Error('the test is over'));
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
});

function dial(): Socket {
  const socket = connect((server.address() as { port: number }).port, '127.0.0.1');
  socket.on('error', () => {});
  sockets.push(socket);
  return socket;
}

test('strangers at the open port hear nothing of use and hold up nobody; one of three good connections is kept', async () => {
  const acceptor = new TcpRace('accept', KEYS, stop.signal);
  server.on('connection', (socket) => {
    sockets.push(socket);
    acceptor.enter(socket);
  });
  const silent = dial();
  const talker = dial();
  const heard: Buffer[] = [];
  talker.on('data', (data) => heard.push(data));
  talker.write('GET / HTTP/1.1\r\n\r\n');
  const foreign = tlsConnect({ socket: dial(), rejectUnauthorized: false });
  foreign.on('error', () => {});
  await once(silent, 'connect');

  const inviter = new TcpRace('invite', KEYS, stop.signal);
  const good = [dial(), dial(), dial()];
  for (const socket of good) {
    await once(socket, 'connect');
    inviter.enter(socket);
  }
  const [mine, theirs] = await Promise.all([inviter.won, acceptor.won]);
  expect(mine.localPort).toBe(theirs.remotePort);
  theirs.write('to the peer alone');
  expect(String((await once(mine, 'data'))[0])).toBe('to the peer alone');
  await expect.poll(() => good.filter((socket) => !socket.destroyed)).toHaveLength(1);
  await expect.poll(() => [silent.destroyed, talker.destroyed]).toEqual([true, true]);
  // At most an alert: seven bytes.
  expect(Buffer.concat(heard).length).toBeLessThan(16);
});

test('more connections than may be proved at once are closed, and after the race every one', async () => {
  const acceptor = new TcpRace('accept', KEYS, stop.signal);
  const entered: Socket[] = [];
  server.on('connection', (socket) => {
    entered.push(socket);
    sockets.push(socket);
    acceptor.enter(socket);
  });
  const dialled = Array.from({ length: 20 }, dial);
  await expect.poll(() => entered.length).toBe(20);
  expect(entered.filter((socket) => socket.destroyed)).toHaveLength(8);
  acceptor.end();
  await expect.poll(() => entered.every((socket) => socket.destroyed)).toBe(true);
  await expect.poll(() => dialled.every((socket) => socket.destroyed)).toBe(true);
  stop.abort(new Error('enough'));
  await expect(acceptor.won).rejects.toThrow('enough');
});
