import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, expect, test } from 'vitest';
import { openHyperdht } from '../../src/rendezvous/hyperdht/backend.js';
import type { HyperdhtSettings } from '../../src/rendezvous/hyperdht/settings.js';
import type { Rendezvous } from '../../src/rendezvous/types.js';
import { ALICE, BOB, BOB_KEY, CONTEXT, EchoingBob, exchange, invitation } from '../support/dht-sides.js';
import { freePort, Testnet } from '../support/testnet.js';

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

async function open(settings: HyperdhtSettings): Promise<Rendezvous> {
  const link = await openHyperdht(settings, CONTEXT);
  opened.push(link);
  return link;
}

/** A port where somebody listens and says nothing, or nonsense. */
async function deadEnd(nonsense?: Buffer): Promise<number> {
  const socket: Socket = createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  if (nonsense) socket.on('message', (_data, { port, address }) => socket.send(nonsense, port, address));
  opened.push({ close: () => socket.close() });
  return socket.address().port;
}

const at = (port: number, host = '127.0.0.1') => ({ bootstrap: [{ host, port }] });
const soon = () => AbortSignal.timeout(15_000);

test.each([
  ['silent', undefined],
  ['talking nonsense', Buffer.from('0313000102030405', 'hex')],
] as const)(
  'a bootstrap node that is %s is named within 5 s, with what to try; closing then takes no second',
  async (_manner, nonsense) => {
    const port = await deadEnd(nonsense);
    const link = await open(at(port));
    const begun = performance.now();
    await expect(link.prepare(soon())).rejects.toMatchObject({
      code: 'RENDEZVOUS_UNREACHABLE',
      message: expect.stringContaining(`127.0.0.1:${port}`),
      hint: expect.stringContaining('awl dht-node'),
    });
    const failed = performance.now();
    expect(failed - begun).toBeLessThan(10_000);
    await link.close();
    expect(performance.now() - failed).toBeLessThan(5000);
  },
);

test('a name that is unknown, and an IPv6 address, are said at once', async () => {
  const unknown = await open(at(49737, 'no-such-host.invalid'));
  await expect(unknown.prepare(soon())).rejects.toMatchObject({
    code: 'RENDEZVOUS_UNREACHABLE',
    message: expect.stringContaining('no-such-host.invalid:49737'),
  });
  const six = await open(at(49737, '::1'));
  await expect(six.prepare(soon())).rejects.toThrow('IPv4 only');
});

test('one bootstrap node of several is enough', async () => {
  const net = await Testnet.start(1);
  opened.push({ close: () => net.down() });
  const dead = await deadEnd();
  const link = await open({
    bootstrap: [{ host: '127.0.0.1', port: dead }, ...net.settings.bootstrap],
  });
  await link.prepare(soon());
  const bob = await EchoingBob.start(net.settings);
  opened.push(bob);
  await exchange(link, invitation());
});

test('a local port that is taken is named, not replaced by another', async () => {
  const net = await Testnet.start(1);
  opened.push({ close: () => net.down() });
  const { port } = net.settings.bootstrap[0]!;
  const link = await open({ ...net.settings, port });
  await expect(link.prepare(soon())).rejects.toMatchObject({ code: 'UDP_BIND' });
});

test('the local port that was asked for is used', async () => {
  const net = await Testnet.start(1);
  opened.push({ close: () => net.down() });
  const port = await freePort();
  const link = await open({ ...net.settings, port });
  await link.prepare(soon());
  const second = await open({ ...net.settings, port });
  await expect(second.prepare(soon())).rejects.toMatchObject({ code: 'UDP_BIND' });
});

test('an aborted prepare ends at once with the reason, and can be tried again', async () => {
  const port = await deadEnd();
  const link = await open(at(port));
  const stop = new AbortController();
  const preparing = link.prepare(stop.signal);
  setTimeout(() => stop.abort(new Error('not now')), 20);
  const begun = performance.now();
  await expect(preparing).rejects.toThrow('not now');
  expect(performance.now() - begun).toBeLessThan(5000);
});

test('an acceptor without the certificate of one identity is told what is missing, before any traffic', async () => {
  const link = await open(at(await deadEnd()));
  for (const [to, toKey] of [
    [{}, BOB_KEY],
    [{ owner: BOB.owner }, BOB_KEY],
    [BOB, undefined],
  ] as const) {
    const filter = { app: 'test', kind: 'invite', to, from: {}, ...(toKey && { toKey }) } as const;
    const listening = link.listen(filter, soon())[Symbol.asyncIterator]();
    await expect(listening.next()).rejects.toMatchObject({
      code: 'USAGE_MISSING',
      message: expect.stringContaining('--host-info'),
    });
  }
});

test('an inviter without the peer’s certificate is told so', async () => {
  const link = await open(at(await deadEnd()));
  const { toKey: _toKey, ...letter } = invitation();
  await expect(link.push(letter, soon())).rejects.toMatchObject({ code: 'USAGE_MISSING' });
});

test('closing in the middle of everything leaves no listener and no error behind', async () => {
  const net = await Testnet.start(2);
  opened.push({ close: () => net.down() });
  for (const ms of [0, 1, 5, 20, 60]) {
    const [alice, bob] = [await open(net.settings), await open(net.settings)];
    const filter = { app: 'test', kind: 'invite', to: BOB, from: {}, toKey: BOB_KEY } as const;
    const listening = (async () => {
      for await (const { id, bytes } of bob.listen(filter, soon())) {
        const answer = { ...invitation(bytes), kind: 'accept', from: BOB, to: ALICE, answers: id } as const;
        await bob.push(answer, soon()).catch(() => {});
      }
    })();
    const pushing = alice.push(invitation(), soon()).catch((error: Error) => error);
    await new Promise((resolve) => setTimeout(resolve, ms));
    const begun = performance.now();
    await Promise.all([alice.close(), bob.close(), alice.close()]);
    expect(performance.now() - begun).toBeLessThan(5000);
    await listening;
    await pushing;
    await expect(alice.push(invitation(), soon())).rejects.toMatchObject({ code: 'RENDEZVOUS_UNREACHABLE' });
  }
});
