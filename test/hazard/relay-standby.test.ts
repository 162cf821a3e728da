import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { RelayServer } from '../../src/relay/server.js';
import { openContext } from '../../src/session/context.js';
import { loadHost, loadPeer } from '../../src/session/parties.js';
import type { Role } from '../../src/session/passage.js';
import { openPath } from '../../src/session/relaying.js';
import { bindSockets, closeSockets, type SessionSockets } from '../../src/session/sockets.js';
import type { Endpoint } from '../../src/util/endpoint.js';
import { UdpSocket } from '../../src/util/udp.js';
import { type Machine, makeWorld, type World } from '../support/world.js';

const LOCAL = { address: '127.0.0.1', port: 0 };
const KEYS = { secret: 77n, confirmKey: randomBytes(32), sessionKey: randomBytes(32) };
let world: World;
let relay: RelayServer;
const cleanup: (() => unknown)[] = [];

beforeEach(async () => {
  world = await makeWorld('alice@example.org/laptop', 'bob@example.org/nas');
  relay = await RelayServer.start({ local: LOCAL, repo: world.machines[0]!.repo });
  cleanup.push(
    () => world.close(),
    () => relay.close(),
  );
});
afterEach(async () => {
  for (const close of cleanup.splice(0).reverse()) await close();
});

interface Candidates {
  readonly own?: Endpoint;
  readonly peer?: Endpoint;
}
const named = (endpoint: Endpoint | undefined) => (endpoint ? [{ type: 'relay' as const, endpoint }] : []);

async function side(role: Role, handshakeTimeoutMs: number, relays: Candidates = {}) {
  const [alice, bob] = world.machines as [Machine, Machine];
  const [own, other] = role === 'invite' ? [alice, bob] : [bob, alice];
  const context = await openContext(world.settings(own, other, { route: 'either', handshakeTimeoutMs }));
  const loading = { named: true, log: own.log };
  const [host, peer] = [
    await loadHost(context.repository, own.name, loading),
    await loadPeer(context.repository, other.name, loading),
  ];
  const sockets: SessionSockets = await bindSockets(LOCAL, own.log);
  cleanup.push(
    () => context.close(),
    () => closeSockets(sockets),
  );
  const open = (target: Endpoint, standbyMs?: number) =>
    openPath(
      {
        ...{ context, session: 'abcdef', role, host, peer, sockets, target },
        outer: sockets.main.local,
        candidates: { own: named(relays.own ?? relay.endpoint), peer: named(relays.peer) },
        keys: KEYS,
        abilities: { peerFresh: [], chooses: false, birthday: false },
        hops: undefined,
        peerRoute: 'either',
        begun: performance.now(),
        log: own.log,
      },
      standbyMs,
    );
  return { open, local: sockets.main.local };
}

test('an acceptor that is still punching takes the relay as soon as the inviter is there', async () => {
  const dead = await UdpSocket.bind(LOCAL);
  cleanup.push(() => dead.close());
  const [alice, bob] = [await side('invite', 300), await side('accept', 60_000)];
  const begun = performance.now();
  const passages = await Promise.all([bob.open(dead.local, 200), alice.open(dead.local)]);
  expect(passages.map(({ how, confirmed }) => [how, confirmed])).toEqual([
    ['relay', true],
    ['relay', true],
  ]);
  // Not after the 60 s that the acceptor would have punched on.
  expect(performance.now() - begun).toBeLessThan(45_000);
});

test('an answer that is under way for long costs no direct path: who waits at the relay punches on', async () => {
  const [alice, bob] = [await side('invite', 10_000), await side('accept', 60_000)];
  const accepting = bob.open(alice.local, 50);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(relay.stats).toMatchObject({ sessions: 0, waiting: 1 });
  const passages = await Promise.all([accepting, alice.open(bob.local)]);
  for (const { how } of passages) expect(how).not.toBe('relay');
  expect(relay.stats).toMatchObject({ sessions: 0, forwarded: 0 });
});

test('where the inviter’s relay is gone both meet at the acceptor’s', async () => {
  const [dead, gone] = [await UdpSocket.bind(LOCAL), await UdpSocket.bind(LOCAL)];
  cleanup.push(
    () => dead.close(),
    () => gone.close(),
  );
  const alice = await side('invite', 300, { own: gone.local, peer: relay.endpoint });
  const bob = await side('accept', 60_000, { own: relay.endpoint, peer: gone.local });
  const passages = await Promise.all([bob.open(dead.local, 200), alice.open(dead.local)]);
  for (const { how, confirmed, alien } of passages) {
    expect({ how, confirmed, alien }).toEqual({ how: 'relay', confirmed: true, alien: relay.endpoint });
  }
});
