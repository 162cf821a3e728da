import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { AwlError } from '../../src/errors.js';
import { silentLogger } from '../../src/log.js';
import type { MeepoNode } from '../../src/meepo/node.js';
import { MeepoProxy } from '../../src/meepo/proxy.js';
import {
  encodeCredentials,
  encodeGreeting,
  encodeRequest,
  readReply,
  SOCKS5_REPLIES,
} from '../../src/wire/socks5.js';
import { loopbackNode, until } from '../support/meepo-nodes.js';

/** The node is its own peer: its proxy leads to its own loopback, by all that lies between. */
let node: MeepoNode;
let proxy: MeepoProxy;
let service: Server;
let port = 0;
const sockets: Socket[] = [];
const SECRET = 'AliceAndBob';

beforeEach(async () => {
  // The idle timer and what it measures by; what waits for sockets goes by the real clock.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] });
  service = createServer((socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  }).listen(0, '127.0.0.1');
  await once(service, 'listening');
  port = (service.address() as AddressInfo).port;
  node = loopbackNode(undefined, { access: { secret: SECRET, blocks: ['127.0.0.1:22'] } });
  const lookup = (name: string) => (name === 'alice' ? node.id : undefined);
  proxy = new MeepoProxy({ node, host: '127.0.0.1', port: 0, lookup, log: silentLogger });
  await proxy.listen();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await proxy.close();
  await node.close();
  service.close();
  vi.useRealTimers();
});

function dial(): Socket & { all(): Buffer } {
  const parts: Buffer[] = [];
  const socket = connect(proxy.port, '127.0.0.1');
  sockets.push(socket);
  socket.on('data', (data) => parts.push(data)).on('error', () => {});
  return Object.assign(socket, { all: () => Buffer.concat(parts) });
}

const gone = (socket: Socket) =>
  new Promise<void>((resolve) => {
    if (socket.destroyed) resolve();
    socket.once('close', () => resolve());
  });

/** The name of the reply to one request, and the connection behind it. */
async function socks(
  host: string,
  to: number,
  password?: string,
  command: 'connect' | 'associate' = 'connect',
) {
  const socket = dial();
  socket.write(encodeGreeting(password === undefined ? [0] : [0, 2]));
  if (password !== undefined) socket.write(encodeCredentials('anybody', password));
  socket.write(encodeRequest(command, { host, port: to }));
  const begun = password === undefined ? 2 : 4;
  const reply = () => readReply(socket.all().subarray(begun));
  await Promise.race([gone(socket), until(() => reply() !== undefined, 20_000)]);
  const code = reply()?.reply;
  const name = Object.entries(SOCKS5_REPLIES).find(([, one]) => one === code)?.[0];
  return {
    socket,
    name,
    after: () =>
      socket
        .all()
        .subarray(begun + (reply()?.length ?? 0))
        .toString(),
  };
}

async function reply(...of: Parameters<typeof socks>): Promise<string | undefined> {
  const { socket, name } = await socks(...of);
  socket.destroy();
  return name;
}

async function http(text: string): Promise<string> {
  const socket = dial();
  socket.write(text);
  await Promise.race([gone(socket), until(() => socket.all().includes('\r\n\r\n'), 20_000)]);
  return socket.all().toString();
}
const basic = (password: string) =>
  `Proxy-Authorization: Basic ${Buffer.from(`u:${password}`).toString('base64')}\r\n`;

test('replies tell refused, forbidden, nobody, nowhere and not done here apart', async () => {
  expect(await reply('alice.mpo', port, SECRET)).toBe('succeeded');
  expect(await reply(`${node.id}.mpo`, port, SECRET)).toBe('succeeded');
  expect(await reply(`${node.id.toUpperCase()}.MPO`, port, SECRET)).toBe('succeeded');
  expect(await reply('alice.mpo', 1, SECRET)).toBe('refused');
  expect(await reply('alice.mpo', 22, SECRET)).toBe('forbidden');
  expect(await reply('alice.mpo', port)).toBe('forbidden');
  expect(await reply('alice.mpo', port, 'Wrong')).toBe('forbidden');
  expect(await reply('bob.mpo', port, SECRET)).toBe('hostUnreachable');
  expect(await reply('example.com', 80, SECRET)).toBe('hostUnreachable');
  expect(await reply('127.0.0.1', port, SECRET)).toBe('networkUnreachable');
  expect(await reply('::1', port, SECRET)).toBe('networkUnreachable');
  expect(await reply('alice.mpo', port, SECRET, 'associate')).toBe('commandUnsupported');
  expect(proxy.counts).toMatchObject({
    succeeded: 3,
    refused: 1,
    forbidden: 3,
    'not-found': 2,
    unreachable: 2,
  });
});

test.each([
  ['connect: no route to host', 'networkUnreachable'],
  ['connect: network is unreachable', 'networkUnreachable'],
  ['i/o timeout', 'expired'],
  ['connect: connection refused', 'refused'],
  ['something else', 'hostUnreachable'],
])('what the peer says of its port is told: %s', async (words, name) => {
  const said = new AwlError('MEEPO_REFUSED', `dial tcp 127.0.0.1:80: ${words}`);
  vi.spyOn(node.sources, 'connect').mockRejectedValueOnce(said);
  expect(await reply('alice.mpo', port, SECRET)).toBe(name);
});

test('nobody rides on what another connection was let in for, and its name tells nothing of the secret', async () => {
  const first = await socks('alice.mpo', port, SECRET);
  expect(first.name).toBe('succeeded');
  // While it is open, and after.
  expect(await reply('alice.mpo', port)).toBe('forbidden');
  expect(await reply('alice.mpo', port, '')).toBe('forbidden');
  expect(await reply('alice.mpo', port, `${SECRET}x`)).toBe('forbidden');
  first.socket.destroy();
  expect(await reply('alice.mpo', port)).toBe('forbidden');
  expect((await http(`CONNECT alice.mpo:${port} HTTP/1.1\r\n\r\n`)).split('\r\n')[0]).toContain(' 403 ');
  const names = () => node.sources.all.map(({ name }) => name);
  expect(names()).toHaveLength(1);
  // The same secret again needs no second teleportation; another node's proxy would choose another name.
  const [name] = names();
  expect(await reply('alice.mpo', port, SECRET)).toBe('succeeded');
  expect(names()).toEqual([name]);
  await node.closeTeleportation(name ?? '');
  expect(await reply('alice.mpo', port, SECRET)).toBe('succeeded');
  expect(names()).not.toEqual([name]);
});

test('HTTP CONNECT and the page with the rules for browsers are on the same port', async () => {
  const socket = dial();
  socket.write(`CONNECT alice.mpo:${port} HTTP/1.1\r\nHost: alice.mpo\r\n${basic(SECRET)}\r\nhello`);
  expect(await until(() => socket.all().toString().endsWith('\r\n\r\nhello'))).toBe(true);
  expect(socket.all().toString()).toMatch(/^HTTP\/1\.1 200 /);
  expect(await http(`CONNECT alice.mpo:1 HTTP/1.1\r\n${basic(SECRET)}\r\n`)).toMatch(/^HTTP\/1\.1 502 /);
  expect(await http(`CONNECT alice.mpo:22 HTTP/1.1\r\n${basic(SECRET)}\r\n`)).toMatch(/^HTTP\/1\.1 403 /);
  const page = await http('GET /proxy.pac HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
  expect(page).toContain('Content-Type: application/x-ns-proxy-autoconfig\r\n');
  const script = page.slice(page.indexOf('\r\n\r\n') + 4);
  const find = new Function('dnsDomainIs', `${script}; return FindProxyForURL;`) as (
    is: (host: string, domain: string) => boolean,
  ) => (url: string, host: string) => string;
  const proxyFor = find((host, domain) => host.endsWith(domain));
  const at = `127.0.0.1:${proxy.port}`;
  expect(proxyFor('http://alice.mpo/', 'alice.mpo')).toBe(`SOCKS5 ${at}; PROXY ${at}`);
  expect(proxyFor('http://example.com/', 'example.com')).toBe('DIRECT');
  expect(await http('GET /other HTTP/1.1\r\n\r\n')).not.toMatch(/^HTTP\/1\.1 200 /);
});

test('what the proxy made ends after five idle minutes on both sides; what is used or was typed stays', async () => {
  const used = await socks('alice.mpo', port, SECRET);
  const typed = await node.teleport({
    peer: node.id,
    remote: `127.0.0.1:${port}`,
    name: 'typed',
    secret: SECRET,
  });
  vi.advanceTimersByTime(20 * 60_000);
  used.socket.write('still');
  expect(await until(() => used.after() === 'still')).toBe(true);
  expect(node.sources.all).toHaveLength(2);
  used.socket.destroy();
  expect(await until(() => node.sources.all.every(({ streams }) => streams.size === 0))).toBe(true);
  vi.advanceTimersByTime(4 * 60_000 + 59_000);
  expect(node.sources.all).toHaveLength(2);
  vi.advanceTimersByTime(31_000);
  expect(await until(() => node.listTeleportations().length === 2)).toBe(true);
  expect(node.listTeleportations().map(({ name }) => name)).toEqual([typed.name, typed.name]);
  // The next connection makes a new one.
  expect(await reply('alice.mpo', port, SECRET)).toBe('succeeded');
});

test('whatever a program says, it is answered or let go, and the next one is served', async () => {
  const head = fc.constantFrom(
    Buffer.alloc(0),
    encodeGreeting([0]),
    Buffer.concat([encodeGreeting([2]), encodeCredentials('u', 'p')]),
    Buffer.from('CONNECT '),
    Buffer.from('GET /proxy.pac'),
  );
  const rest = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  await fc.assert(
    fc.asyncProperty(head, rest, async (first, bytes) => {
      const socket = dial();
      socket.end(Buffer.concat([first, bytes]));
      await gone(socket);
    }),
    { numRuns: 150, interruptAfterTimeLimit: 30_000 },
  );
  expect(node.sources.all).toEqual([]);
  expect(await reply('alice.mpo', port, SECRET)).toBe('succeeded');
});
