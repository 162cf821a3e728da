import { createHash, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { TunnelSettings } from '../../src/session/tunnel.js';
import { importPort, openPair, serve, type TunnelPair, tunnelSettings } from '../support/tunnel.js';
import { until } from '../support/world.js';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

async function freePort(): Promise<number> {
  const free = await serve(() => {});
  await free.close();
  return free.port;
}

async function pair(
  bob: Partial<TunnelSettings>,
  serveOne: (socket: Socket) => void = (socket) => socket.pipe(socket),
): Promise<TunnelPair & { readonly port: number }> {
  const server = await serve(serveOne);
  cleanup.push(server.close);
  const made = await openPair(
    tunnelSettings({ imports: [`${await freePort()}:${server.port}`] }, { udpOnly: false }),
    tunnelSettings({ exports: [`${server.port}`] }, bob),
  );
  cleanup.push(made.close);
  return { ...made, port: importPort(made, 'alice') };
}

const moved = (made: TunnelPair) =>
  until(
    'both moved',
    () => made.event('alice', 'moved') !== undefined && made.event('bob', 'moved') !== undefined,
  );
const sha = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

test('a tunnel moves to TCP while 12 MB pass through it, and they arrive whole, in one connection', async () => {
  const data = randomBytes(12_000_000);
  const made = await pair({ udpOnly: false }, (socket) => void socket.end(data));
  const client = connect(made.port, '127.0.0.1');
  const hash = createHash('sha256');
  client.on('data', (piece) => hash.update(piece));
  await once(client, 'end');
  client.destroy();
  expect(hash.digest('hex')).toBe(sha(data));
  await moved(made);
  expect(made.event('alice', 'moved')).toMatchObject({ path: 'tcp' });
  expect(made.event('alice', 'reconnecting')).toBeUndefined();
  made.stopAlice.abort();
  expect(await made.alice).toBe(0);
  expect(await made.bob).toBe(0);
  expect(made.event('bob', 'tunnel-closed')?.reason).toBe('the peer closed the tunnel');
});

test('datagrams go on over UDP when the connections have moved', async () => {
  const target = createSocket('udp4').bind(0, '127.0.0.1');
  await once(target, 'listening');
  target.on('message', (data, from) => target.send(`heard ${data}`, from.port, from.address));
  cleanup.push(() => target.close());
  const port = await freePort();
  const made = await openPair(
    tunnelSettings({ imports: [`udp:${port}:${target.address().port}`] }, { udpOnly: false }),
    tunnelSettings({ exports: [`udp:${target.address().port}`] }, { udpOnly: false }),
  );
  cleanup.push(made.close);
  await moved(made);
  const client = createSocket('udp4').bind(0, '127.0.0.1');
  cleanup.push(() => client.close());
  client.send('a datagram', port, '127.0.0.1');
  const [answer] = (await once(client, 'message')) as [Buffer];
  expect(String(answer)).toBe('heard a datagram');
  made.stopAlice.abort();
  expect(await made.alice).toBe(0);
  const closed = made
    .lines('bob')
    .split('\n')
    .findLast((line) => line.includes('"datagramsReceived"'));
  expect(closed).toContain('"path":"tcp"');
  expect(closed).toMatch(/"datagramsReceived":[1-9]/);
});

test('one side that says --udp-only keeps both on UDP', async () => {
  const made = await pair({ udpOnly: true });
  const client = connect(made.port, '127.0.0.1');
  client.write('hello');
  await once(client, 'data');
  client.destroy();
  expect(made.lines('alice')).not.toMatch(/TCP/);
  expect(made.event('alice', 'moved')).toBeUndefined();
});
