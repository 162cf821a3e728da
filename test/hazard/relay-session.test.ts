import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RelayServer } from '../../src/relay/server.js';
import { accept } from '../../src/session/acceptor.js';
import { greetOver } from '../../src/session/carrying.js';
import { invite } from '../../src/session/initiator.js';
import type { Passage } from '../../src/session/passage.js';
import { seekDirect } from '../../src/session/reconnecting.js';
import { runAcceptor } from '../../src/session/run.js';
import type { AcceptorSettings } from '../../src/session/settings.js';
import { upgradeToTcp } from '../../src/session/tcp-upgrade.js';
import { Tunnel } from '../../src/tunnel/tunnel.js';
import { formatEndpoint } from '../../src/util/endpoint.js';
import { UdpSocket } from '../../src/util/udp.js';
import { serve, tunnelSettings } from '../support/tunnel.js';
import { type Machine, makeWorld, until, type World } from '../support/world.js';

let world: World;
let alice: Machine;
let bob: Machine;
let relay: RelayServer;
const cleanup: (() => unknown)[] = [];

beforeEach(async () => {
  world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  [alice, bob] = world.machines as [Machine, Machine];
  // Each repository holds both certificates; what the hub has of keys does not matter.
  relay = await RelayServer.start({ local: { address: '127.0.0.1', port: 0 }, repo: alice.repo });
  cleanup.push(
    () => world.close(),
    () => relay.close(),
  );
});
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

const named = (one = relay) => ({ relay: { host: '127.0.0.1', port: one.endpoint.port } });

async function bobAccepts(more: Partial<AcceptorSettings>): Promise<Passage[]> {
  const passages: Passage[] = [];
  const stop = new AbortController();
  const serving = (async () => {
    for await (const passage of accept(world.settings(bob, alice, { ...more, signal: stop.signal }))) {
      passages.push(passage);
      cleanup.push(() => passage.close());
    }
  })();
  cleanup.push(() => {
    stop.abort();
    return serving;
  });
  await until('bob listening', () => bob.events.some(({ event }) => event === 'listening'));
  return passages;
}

const inviting = async (more: Partial<AcceptorSettings>) => {
  const passage = await invite(world.settings(alice, bob, { responseTimeoutMs: 8000, ...more }));
  cleanup.push(() => passage.close());
  return passage;
};

test('where one side insists on the relay both take it, prove each other over it, and say so', async () => {
  const passages = await bobAccepts({ route: 'either' });
  const mine = await inviting({ ...named(), route: 'relay' });
  await until('bob’s passage', () => passages.length === 1);
  for (const one of [mine, passages[0]!]) {
    expect(one).toMatchObject({ how: 'relay', confirmed: true, alien: relay.endpoint });
  }
  expect(mine.sessionKey).toEqual(passages[0]!.sessionKey);
  const arrived = new Promise<string>((resolve) =>
    passages[0]!.socket.subscribe((data) => String(data).startsWith('over') && resolve(String(data))),
  );
  await mine.socket.send(Buffer.from('over the relay'), mine.alien);
  expect(await arrived).toBe('over the relay');
  expect(relay.stats.sessions).toBe(1);
  const [one, ...others] = relay.open;
  expect(others).toEqual([]);
  expect(one?.sides.map(({ role, who }) => `${role} ${who}`)).toEqual([
    'invite alice@example.org/laptop',
    'accept bob@example.org/nas',
  ]);
  expect(one?.bytes).toBeGreaterThanOrEqual('over the relay'.length);
  const said = `passage to alice@example.org/laptop at ${formatEndpoint(relay.endpoint)}`;
  expect(bob.lines.join('')).toContain(said);
  expect(bob.events.find(({ event }) => event === 'passage')).toMatchObject({ how: 'relay' });
});

test('a direct path wins where there is one, and the relay hears nothing', async () => {
  const passages = await bobAccepts(named());
  const mine = await inviting(named());
  await until('bob’s passage', () => passages.length === 1);
  expect([mine.how, passages[0]!.how]).not.toContain('relay');
  expect(relay.stats).toMatchObject({ sessions: 0, waiting: 0, refused: 0 });
});

test('a side that did not allow a relay is never taken through one, and both are told', async () => {
  const passages = await bobAccepts({});
  await expect(inviting({ ...named(), route: 'relay' })).rejects.toMatchObject({ code: 'RELAY_REFUSED' });
  await until('bob’s word', () => bob.events.some(({ event }) => event === 'failed'));
  expect(bob.events.find(({ event }) => event === 'failed')).toMatchObject({ code: 'RELAY_REFUSED' });
  expect(passages).toEqual([]);
  expect(relay.stats).toMatchObject({ sessions: 0, waiting: 0 });
});

test('a relay that does not know one of both refuses that one; a silent one is named', async () => {
  const stranger = await RelayServer.start({ local: { address: '127.0.0.1', port: 0 }, fingerprints: [] });
  cleanup.push(() => stranger.close());
  await bobAccepts({ route: 'either' });
  const refused = inviting({ ...named(stranger), route: 'relay' });
  await expect(refused).rejects.toMatchObject({
    code: 'RELAY_REFUSED',
    hint: expect.stringContaining('awl id trust'),
  });
  expect(stranger.stats).toMatchObject({ sessions: 0, waiting: 0, refused: 2 });
  const silent = await UdpSocket.bind({ address: '127.0.0.1', port: 0 });
  cleanup.push(() => silent.close());
  const nobody = { host: '127.0.0.1', port: silent.local.port };
  await expect(inviting({ relay: nobody, route: 'relay' })).rejects.toMatchObject({
    code: 'RELAY_UNREACHABLE',
    message: expect.stringContaining(String(nobody.port)),
  });
});

test('a tunnel over the relay moves to a direct path when there is one, then to TCP, and its connections go on', async () => {
  const echo = await serve((socket) => socket.pipe(socket));
  const stop = new AbortController();
  const tunnelOf = tunnelSettings({ exports: [`${echo.port}`] }, { udpOnly: false });
  const settings = world.settings(bob, alice, { tunnel: tunnelOf, route: 'either', signal: stop.signal });
  const accepting = runAcceptor(settings);
  cleanup.push(echo.close, () => {
    stop.abort();
    return accepting;
  });
  await until('bob listening', () => bob.events.some(({ event }) => event === 'listening'));
  const hello = { exports: [], keeps: true, tcp: true };
  const passage = await invite(world.settings(alice, bob, { ...named(), route: 'relay' }));
  const kinds: (string | undefined)[] = [];
  const tunnel = new Tunnel(
    {
      role: 'invite',
      onOpen: () => expect.unreachable('bob opens nothing'),
      reconnectMs: 30_000,
      onMoved: () => kinds.push(tunnel.carrier?.kind),
      log: alice.log,
    },
    await greetOver(passage, hello, undefined),
  );
  cleanup.push(() => tunnel.close('over'));
  expect(tunnel.carrier?.kind).toBe('relay');
  const channel = tunnel.connect(`tcp:127.0.0.1:${echo.port}`);
  channel.write('relayed');
  expect(String((await once(channel, 'data'))[0])).toBe('relayed');
  const straight = () => invite(world.settings(alice, bob, { route: 'direct' }));
  const { log } = alice;
  const upgrade = { tunnel, hello, settings: world.settings(alice, bob), log };
  const onPassage = (direct: Passage) => void upgradeToTcp({ ...upgrade, passage: direct });
  void seekDirect(tunnel, { hello, invite: straight, onPassage, log }, { baseMs: 10, maxMs: 10 });
  await until('both moves', () => kinds.length > 1, 20_000);
  expect(kinds).toEqual(['udp', 'tcp']);
  expect(tunnel.stats).toMatchObject({ moves: 2, reconnects: 0 });
  const before = relay.stats.forwarded;
  channel.write('direct');
  expect(String((await once(channel, 'data'))[0])).toBe('direct');
  expect(relay.stats.forwarded).toBe(before);
});
