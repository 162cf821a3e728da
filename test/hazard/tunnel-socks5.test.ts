import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { parseAcl } from '../../src/wire/acl.js';
import {
  encodeGreeting,
  encodeRequest,
  encodeSocksDatagram,
  readReply,
  readSocksDatagram,
  SOCKS5_REPLIES,
} from '../../src/wire/socks5.js';
import { openPair, serve, type TestServer, type TunnelPair, tunnelSettings } from '../support/tunnel.js';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

interface Rules {
  readonly allows?: string[];
  readonly blocks?: string[];
  readonly exports?: string[];
}

/** alice has a proxy, bob gives what the rules say. */
async function open({ exports = [], ...rules }: Rules): Promise<{ pair: TunnelPair; proxy: number }> {
  const pair = await openPair(
    tunnelSettings({}, { socks5: { address: '127.0.0.1', port: 0 } }),
    tunnelSettings({ exports }, rules.allows ? { rules: parseAcl(rules) } : {}),
  );
  cleanup.push(pair.close);
  const at = pair.event('alice', 'tunnel-open')?.imports[0] ?? '';
  return { pair, proxy: Number(at.split(':').at(-1)) };
}

async function target(answer = 'hello from there'): Promise<TestServer> {
  const made = await serve((socket) => {
    socket.once('data', () => socket.end(answer));
  });
  cleanup.push(made.close);
  return made;
}

async function closedPort(): Promise<number> {
  const made = await serve(() => {});
  await made.close();
  return made.port;
}

function client(port: number): Socket & { all(): Buffer } {
  const parts: Buffer[] = [];
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('data', (data) => parts.push(data)).on('error', () => {});
  cleanup.push(() => socket.destroy());
  return Object.assign(socket, { all: () => Buffer.concat(parts) });
}

/** The whole answer to one request that is sent in one piece, with what a program would say next. */
async function ask(proxy: number, host: string, port: number): Promise<{ reply: number; rest: string }> {
  const socket = client(proxy);
  socket.write(Buffer.concat([encodeGreeting([0, 2]), encodeRequest('connect', { host, port })]));
  socket.write('GET /');
  await once(socket, 'close');
  const bytes = socket.all();
  expect([...bytes.subarray(0, 2)]).toEqual([5, 0]);
  const read = readReply(bytes.subarray(2));
  return { reply: read?.reply ?? -1, rest: bytes.subarray(2 + (read?.length ?? 0)).toString() };
}

async function udp() {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  cleanup.push(() => socket.close());
  return socket;
}

async function say(proxy: number, text: string | Buffer): Promise<string> {
  const socket = client(proxy);
  socket.write(text);
  await once(socket, 'close');
  return socket.all().toString('latin1');
}

test('the proxy reaches what the rules allow, by address and by name, and nothing else', async () => {
  const [open1, shut] = [await target(), await target('never seen')];
  const { pair, proxy } = await open({ allows: [`127.0.0.1:${open1.port}`] });
  expect(pair.event('alice', 'tunnel-open')?.offered).toEqual(['any']);
  for (const host of ['127.0.0.1', 'localhost', 'LOCALHOST', '0x7f.1', '::ffff:127.0.0.1', '0.0.0.0']) {
    expect(await ask(proxy, host, open1.port), host).toEqual({ reply: 0, rest: 'hello from there' });
  }
  expect((await ask(proxy, '127.0.0.1', shut.port)).reply).toBe(SOCKS5_REPLIES.forbidden);
  expect((await ask(proxy, 'localhost', shut.port)).reply).toBe(SOCKS5_REPLIES.forbidden);
  expect(shut.sockets.size).toBe(0);
  expect(pair.lines('bob')).toContain('which is not allowed');
});

test('a block wins in every spelling, and for a name that leads to the blocked address', async () => {
  const hidden = await target('never seen');
  const { proxy } = await open({ allows: ['*'], blocks: [`127.0.0.1:${hidden.port}`] });
  for (const host of [
    '127.0.0.1',
    '::1',
    '0.0.0.0',
    '::ffff:7f00:1',
    '0x7f000001',
    'localhost',
    '127.0.0.2',
  ]) {
    expect(await ask(proxy, host, hidden.port), host).toEqual({ reply: SOCKS5_REPLIES.forbidden, rest: '' });
  }
});

test('without --export-any a proxy gets what is exported, and nothing else', async () => {
  const [listed, hidden] = [await target(), await target()];
  const { pair, proxy } = await open({ exports: [String(listed.port)] });
  expect(await ask(proxy, '127.0.0.1', listed.port)).toEqual({ reply: 0, rest: 'hello from there' });
  expect((await ask(proxy, '127.0.0.1', hidden.port)).reply).toBe(SOCKS5_REPLIES.forbidden);
  expect(pair.lines('alice')).toContain('gives no --export-any');
});

test('success is said when the target is reached; each failure has its own reply', async () => {
  const { proxy } = await open({ allows: ['*'] });
  expect((await ask(proxy, '127.0.0.1', await closedPort())).reply).toBe(SOCKS5_REPLIES.refused);
  expect((await ask(proxy, 'nowhere.invalid', 80)).reply).toBe(SOCKS5_REPLIES.hostUnreachable);
  expect((await ask(proxy, '255.255.255.255', 80)).reply).toBe(SOCKS5_REPLIES.networkUnreachable);
  expect((await ask(proxy, 'bad name', 80)).reply).toBe(SOCKS5_REPLIES.addressUnsupported);
  expect((await ask(proxy, '', 80)).reply).toBe(SOCKS5_REPLIES.addressUnsupported);
  expect((await ask(proxy, '127.0.0.1', 0)).reply).toBe(SOCKS5_REPLIES.addressUnsupported);
});

test('the same port speaks HTTP CONNECT, and says what went wrong', async () => {
  const there = await target();
  const { proxy } = await open({ allows: ['127.0.0.1:*'] });
  const connectTo = (to: string) => say(proxy, `CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n\r\nGET /`);
  expect(await connectTo(`127.0.0.1:${there.port}`)).toBe(
    'HTTP/1.1 200 Connection established\r\n\r\nhello from there',
  );
  expect(await connectTo('192.0.2.1:80')).toMatch(/^HTTP\/1.1 403 .*the far side says: not allowed\n$/s);
  expect(await connectTo(`127.0.0.1:${await closedPort()}`)).toMatch(/^HTTP\/1.1 502 .*ECONNREFUSED\n$/s);
  expect(await connectTo('nowhere.invalid:80')).toMatch(/^HTTP\/1.1 502 .*ENOTFOUND\n$/s);
});

test('whoever speaks something else is answered and hung up on', async () => {
  const { proxy } = await open({ allows: ['*'] });
  expect(await say(proxy, 'GET http://x/ HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1.1 405 .*Allow: CONNECT/s);
  expect(await say(proxy, 'hello\r\n')).toMatch(/^HTTP\/1.1 400 /);
  expect(await say(proxy, `CONNECT a:1 HTTP/1.1\r\n${'x: y\r\n'.repeat(2_000)}`)).toMatch(/^HTTP\/1.1 431 /);
  expect(await say(proxy, Buffer.from([5, 1, 2]))).toBe('\x05\xff');
  const bind = Buffer.concat([encodeGreeting([0]), Buffer.from([5, 2, 0, 1, 127, 0, 0, 1, 0, 80])]);
  expect([...Buffer.from(await say(proxy, bind), 'latin1').subarray(2, 4)]).toEqual([5, 7]);
  expect(await say(proxy, Buffer.from([5, 1, 0, 4]))).toBe('\x05\x00');
});

test('datagrams are relayed to what the rules allow, for the program that asked alone', async () => {
  const echo = await udp();
  echo.on('message', (data, from) => echo.send(data, from.port, from.address));
  const hidden = await udp();
  let seen = 0;
  hidden.on('message', () => {
    seen += 1;
  });
  const { proxy } = await open({ allows: [`udp:127.0.0.1:${echo.address().port}`] });
  const control = client(proxy);
  control.write(
    Buffer.concat([encodeGreeting([0]), encodeRequest('associate', { host: '0.0.0.0', port: 0 })]),
  );
  while (control.all().length < 12) await once(control, 'data');
  const bound = readReply(control.all().subarray(2))?.bound;
  expect(bound?.host).toBe('127.0.0.1');
  const [mine, stranger] = [await udp(), await udp()];
  const say = (from: typeof mine, port: number, text: string) =>
    from.send(encodeSocksDatagram({ host: 'localhost', port }, Buffer.from(text)), bound?.port, '127.0.0.1');
  const answer = once(mine, 'message');
  say(mine, echo.address().port, 'one');
  const [data] = await answer;
  expect(readSocksDatagram(data)).toEqual({
    to: { host: 'localhost', port: echo.address().port },
    payload: Buffer.from('one'),
  });
  stranger.once('message', () => expect.unreachable());
  say(stranger, echo.address().port, 'not yours');
  say(mine, hidden.address().port, 'closed');
  const again = once(mine, 'message');
  say(mine, echo.address().port, 'two');
  expect(readSocksDatagram((await again)[0])?.payload.toString()).toBe('two');
  expect(seen).toBe(0);
  control.end();
  await once(control, 'close');
});

test('a program that leaves while the target is dialled leaves nothing behind', async () => {
  const { pair, proxy } = await open({ allows: ['*'] });
  const socket = client(proxy);
  // TEST-NET-3 answers nobody; without a route the answer is at once, which is as good.
  socket.write(
    Buffer.concat([encodeGreeting([0]), encodeRequest('connect', { host: '203.0.113.1', port: 9 })]),
  );
  await once(socket, 'data');
  socket.destroy();
  pair.stopAlice.abort();
  expect(await pair.alice).toBe(0);
  expect(await pair.bob).toBe(0);
});
