import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { Passage } from '../../src/session/passage.js';
import { runTunnels } from '../../src/session/starting-over.js';
import { parseEndpoint } from '../../src/util/endpoint.js';
import { UdpSocket } from '../../src/util/udp.js';
import { DatagramSealer } from '../../src/wire/tunnel-datagram.js';
import { importPort, openPair, serve, type TunnelPair, tunnelSettings } from '../support/tunnel.js';
import { makeWorld } from '../support/world.js';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

async function echoing(): Promise<{ pair: TunnelPair; port: number }> {
  const echo = await serve((socket) => socket.pipe(socket));
  cleanup.push(echo.close);
  const free = await serve(() => {});
  await free.close();
  const pair = await openPair(
    tunnelSettings({ imports: [`${free.port}:${echo.port}`] }),
    tunnelSettings({ exports: [`${echo.port}`] }),
  );
  cleanup.push(pair.close);
  return { pair, port: importPort(pair, 'alice') };
}

async function echo(port: number, text: string): Promise<Socket> {
  const client = connect({ port, host: '127.0.0.1' });
  client.write(text);
  expect(String((await once(client, 'data'))[0])).toBe(text);
  return client;
}

/** Datagrams that a stranger who sees the ports but not the keys can make. */
function forgeries(count: number): Buffer[] {
  const foreign = new DatagramSealer(randomBytes(32));
  return Array.from({ length: count }, (_, i) => {
    if (i % 4 === 0) return foreign.seal(i % 3, randomBytes(i % 100));
    if (i % 4 === 1) return randomBytes(i % 1400);
    // A UDX header: magic, version, type, data offset, stream id, and the rest.
    const flags = 1 << (i % 6);
    return Buffer.concat([Buffer.of(0xff, 1, flags, 0), randomBytes(16 + (i % 200))]);
  });
}

test('a stranger’s flood of forged datagrams neither breaks the tunnel nor changes a byte', async () => {
  const { pair, port } = await echoing();
  const client = await echo(port, 'before');
  const attacker = createSocket('udp4');
  cleanup.push(() => attacker.close());
  for (const who of ['alice', 'bob'] as const) {
    const { port: target } = parseEndpoint(pair.event(who, 'passage')?.inner ?? '') ?? { port: 0 };
    for (const forged of forgeries(4000)) attacker.send(forged, target, '127.0.0.1');
  }
  const big = randomBytes(2_000_000);
  const got: Buffer[] = [];
  client.on('data', (data: Buffer) => got.push(data));
  client.end(big);
  await once(client, 'close');
  expect(Buffer.concat(got).equals(big)).toBe(true);
  pair.stopAlice.abort();
  expect(await pair.alice).toBe(0);
  expect(await pair.bob).toBe(0);
});

test('a passage without a session key never becomes a tunnel, and its port is given back', async () => {
  const world = await makeWorld('alice@example.org/laptop', 'plexus@example.org/nas');
  cleanup.push(world.close);
  const [alice, peer] = [world.machines[0]!, world.machines[1]!];
  const socket = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  const passage: Passage = {
    session: 's',
    role: 'invite',
    app: 'test',
    host: alice.name,
    peer: peer.name,
    inner: socket.local,
    outer: socket.local,
    alien: socket.local,
    secret: 1n,
    transport: 'udp',
    how: 'reflexive',
    confirmed: false,
    socket,
    handOver: () => socket.close(),
    close: () => socket.close(),
  };
  const running = runTunnels(passage, tunnelSettings({ exports: ['22'] }), world.settings(alice, peer), {});
  await expect(running).rejects.toMatchObject({
    code: 'TUNNEL_REFUSED',
    message: expect.stringContaining('plexus@example.org/nas gave no key'),
  });
  expect(socket.closed).toBe(true);
});

test('1000 connections stand at once, each answers, and all are gone afterwards', async () => {
  const before = readdirSync('/proc/self/fd').length;
  const { pair, port } = await echoing();
  const clients = await Promise.all(Array.from({ length: 1000 }, (_, i) => echo(port, `client ${i}`)));
  for (const [i, client] of clients.entries()) client.write(`again ${i}`);
  await Promise.all(
    clients.map(async (client, i) => expect(String((await once(client, 'data'))[0])).toBe(`again ${i}`)),
  );
  for (const client of clients) client.destroy();
  pair.stopAlice.abort();
  await Promise.all([pair.alice, pair.bob]);
  await expect.poll(() => readdirSync('/proc/self/fd').length).toBeLessThan(before + 20);
});

test('connections that are open when the tunnel ends are reset, not left hanging', async () => {
  const { pair, port } = await echoing();
  const client = await echo(port, 'here');
  const ended = once(client, 'error');
  pair.stopBob.abort();
  expect((await ended)[0]).toMatchObject({ code: 'ECONNRESET' });
  expect(await pair.alice).toBe(0);
});
