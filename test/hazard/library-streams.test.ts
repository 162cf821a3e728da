import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import { accept, invite, type StreamPassage } from '../../src/index.js';
import type { SessionSettings } from '../../src/session/settings.js';
import { makeWorld } from '../support/world.js';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

const OVER_TCP = { qos: { proto: 'tcp', role: 'either' } } as const;

/** A passage from both of its ends. */
async function passages(
  more: Partial<SessionSettings> = {},
): Promise<{ alice: StreamPassage; bob: StreamPassage }> {
  const world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  cleanup.push(world.close);
  const [a, b] = [world.machines[0]!, world.machines[1]!];
  const accepting = accept(world.settings(b, a, more));
  const next = accepting.next();
  const alice = await invite(world.settings(a, b, more));
  const bob = (await next).value as StreamPassage;
  cleanup.push(async () => {
    await Promise.all([alice.close(), bob.close()]);
    await accepting.return();
  });
  return { alice, bob };
}

test('a program’s streams and datagrams go both ways over one passage, by names of its own', async () => {
  const { alice, bob } = await passages();
  const [echo, flows] = await Promise.all([
    bob.listen('echo:1'),
    bob.listen('udp:echo:1'),
    alice.listen('7'),
  ]);
  echo.on('connection', (stream) => stream.pipe(stream));
  flows.on('datagrams', (flow) => flow.on('message', (data) => flow.send(Buffer.concat([data, data]))));

  const stream = await alice.connect('echo:1');
  const data = randomBytes(1_000_000);
  stream.end(data);
  const got: Buffer[] = [];
  for await (const piece of stream) got.push(piece as Buffer);
  expect(Buffer.concat(got).equals(data)).toBe(true);

  const flow = await alice.datagram('echo:1');
  const answer = once(flow, 'message');
  expect(flow.send(Buffer.from('ab'))).toBe(true);
  expect(String((await answer)[0])).toBe('abab');
  expect(flow.send(Buffer.alloc(flow.maxBytes + 1))).toBe(false);
  const closed = once(flow, 'close');
  flow.close();
  await closed;
  expect(flow.send(Buffer.from('late'))).toBe(false);
});

test('what nobody listens for is refused, and what is not a name is an error of its own', async () => {
  const { alice, bob } = await passages();
  const [listener] = await Promise.all([bob.listen('8'), alice.listen('9')]);
  listener.on('connection', (stream: Duplex) => stream.end('hi'));
  await expect(alice.connect('22')).rejects.toMatchObject({ code: 'TUNNEL_REFUSED' });
  await expect(alice.datagram('8')).rejects.toMatchObject({ code: 'TUNNEL_REFUSED' });
  await expect(bob.connect('9')).rejects.toMatchObject({ code: 'TUNNEL_REFUSED' });
  await expect(alice.connect('no such name')).rejects.toMatchObject({ code: 'USAGE_BAD_VALUE' });
  await expect(bob.listen('8')).rejects.toMatchObject({ code: 'USAGE_CONFLICT' });
  listener.close();
  await expect(alice.connect('8')).rejects.toMatchObject({ code: 'TUNNEL_REFUSED' });
});

test('streams end when the peer closes the passage, and nothing can be opened after that', async () => {
  const { alice, bob } = await passages();
  const [listener] = await Promise.all([bob.listen('8'), alice.listen('9')]);
  listener.on('connection', () => {});
  const stream = await alice.connect('8');
  const error = once(stream, 'error');
  await bob.close();
  expect((await error)[0]).toBeInstanceOf(Error);
  await expect(alice.connect('8')).rejects.toMatchObject({ code: 'TUNNEL_LOST' });
});

test('a passage of TCP is one connection, encrypted, that nobody without the session’s key becomes part of', async () => {
  const { alice, bob } = await passages(OVER_TCP);
  expect([alice.qos, bob.qos].sort()).toEqual(['tcp:client', 'tcp:server']);
  const [server, client] = alice.qos === 'tcp:server' ? [alice, bob] : [bob, alice];
  const opening = server.stream();
  // A stranger is first at the open port, and says what he likes.
  const stranger = connect(server.inner.port, server.inner.address);
  stranger.on('error', () => {});
  stranger.write('GET / HTTP/1.0\r\n\r\n');
  // Not once(): a reset is an end, too.
  await new Promise((resolve) => stranger.once('close', resolve));
  const [a, b] = await Promise.all([opening, client.stream()]);
  const data = randomBytes(2_000_000);
  a.pipe(a);
  b.end(data);
  const got: Buffer[] = [];
  for await (const piece of b) got.push(piece as Buffer);
  expect(Buffer.concat(got).equals(data)).toBe(true);
  a.destroy();
});

test('a passage of the wrong kind says which call is the right one', async () => {
  const [udp, tcp] = [await passages(), await passages(OVER_TCP)];
  await expect(udp.alice.stream()).rejects.toMatchObject({ code: 'USAGE_CONFLICT' });
  await expect(tcp.alice.connect('8')).rejects.toMatchObject({
    code: 'USAGE_CONFLICT',
    hint: 'use stream()',
  });
});
