import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { afterEach, expect, test } from 'vitest';
import { accept, invite, type StreamPassage } from '../../src/index.js';
import { makeWorld } from '../support/world.js';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

/** A passage from both of its ends. */
async function passages(): Promise<{ alice: StreamPassage; bob: StreamPassage }> {
  const world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  cleanup.push(world.close);
  const [a, b] = [world.machines[0]!, world.machines[1]!];
  const accepting = accept(world.settings(b, a));
  const next = accepting.next();
  const alice = await invite(world.settings(a, b));
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
