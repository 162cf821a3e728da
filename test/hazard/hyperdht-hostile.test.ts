import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openHyperdht } from '../../src/rendezvous/hyperdht/backend.js';
import { encodeKnock } from '../../src/rendezvous/hyperdht/knock.js';
import {
  type DhtAddress,
  type DhtKeyPair,
  type DhtNode,
  type DhtPeer,
  loadLibrary,
} from '../../src/rendezvous/hyperdht/library.js';
import { gateOf, placeOf } from '../../src/rendezvous/hyperdht/place.js';
import { type Carrier, openCarrier } from '../../src/rendezvous/hyperdht/private.js';
import { BOB_KEY, CONTEXT, EchoingBob, exchange, invitation } from '../support/dht-sides.js';
import { Squatter } from '../support/squatter.js';
import { Testnet } from '../support/testnet.js';

const library = loadLibrary();
const carrier = openCarrier(library) as Carrier;
const PLACE = placeOf('test', BOB_KEY);
let net: Testnet;
const opened: { close(): Promise<unknown> }[] = [];
// A network each: what strangers announce stays for many minutes.
beforeEach(async () => {
  net = await Testnet.start(4);
});
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
  await net.down();
});

async function bob(): Promise<EchoingBob> {
  const side = await EchoingBob.start(net.settings);
  opened.push(side);
  return side;
}
async function alice() {
  const link = await openHyperdht(net.settings, CONTEXT);
  opened.push(link);
  await link.prepare(AbortSignal.timeout(20_000));
  return link;
}
/** A node of somebody who means no good. */
function evil(): DhtNode {
  const node = new library({ bootstrap: net.settings.bootstrap, port: [0, 0], ephemeral: true });
  opened.push({ close: () => node.destroy({ force: true }) });
  return node;
}
/** Whoever announces himself as bob. */
async function announced(node: DhtNode): Promise<DhtPeer> {
  for (let i = 0; i < 50; i++) {
    for await (const { peers } of node.lookup(PLACE.topic)) {
      const [peer] = peers;
      if (peer) return peer;
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error('nobody is announced');
}

test('a flood of knocks, with and without the certificate, costs no memory and holds up nobody', async () => {
  const side = await bob();
  const node = evil();
  const peer = await announced(node);
  const link = await alice();
  await exchange(link, invitation());
  const { bootstrap } = net.settings;
  const relay: DhtAddress = bootstrap[0]!;
  const stop = new AbortController();
  const flooding = Array.from({ length: 16 }, async (_, lane) => {
    while (!stop.signal.aborted) {
      const bytes = randomBytes(920);
      const gate = lane % 2 === 0 ? randomBytes(16) : gateOf(PLACE, peer.publicKey);
      const knock = {
        op: 'fragment',
        gate,
        id: randomBytes(16),
        hold: true,
        index: 0,
        count: 3,
        bytes,
      } as const;
      const payload = lane % 4 < 2 ? encodeKnock(knock) : randomBytes(900);
      const patience = AbortSignal.any([stop.signal, AbortSignal.timeout(20)]);
      await carrier
        .ask(node, { publicKey: peer.publicKey, relay }, library.keyPair(), payload, patience)
        .catch(() => {});
    }
  });
  const took: number[] = [];
  const begun = performance.now();
  let before = 0;
  while (performance.now() < begun + 4000) {
    took.push((await exchange(link, invitation())).ms);
    // Until then all buckets, tables and heaps are as full as they get.
    if (performance.now() > begun + 2000) before ||= process.memoryUsage().rss;
  }
  stop.abort();
  await Promise.all(flooding);
  took.sort((a, b) => a - b);
  expect(took[took.length >> 1]).toBeLessThan(5000);
  expect(side.got.length).toBe(took.length + 1);
  expect((process.memoryUsage().rss - before) / 2 ** 20).toBeLessThan(60);
}, 40_000);

test('hundreds of announced strangers do not keep an inviter from the one who answers', async () => {
  const node = evil();
  const relay = net.settings.bootstrap;
  await node.fullyBootstrapped();
  const keys: DhtKeyPair[] = Array.from({ length: 400 }, () => library.keyPair());
  for (let i = 0; i < keys.length; i += 20) {
    await Promise.all(
      keys.slice(i, i + 20).map((keyPair) => node.announce(PLACE.topic, keyPair, relay).finished()),
    );
  }
  await bob();
  const { ms } = await exchange(await alice(), invitation(), 30_000);
  expect(ms).toBeLessThan(30_000);
}, 60_000);

test('squatters who take the letter and let one wait make room for others in the end', async () => {
  const squatter = await Squatter.start(net.settings.bootstrap, PLACE, 'waiting', 40);
  opened.push(squatter);
  await bob();
  await exchange(await alice(), invitation(), 30_000);
}, 60_000);

test.each([
  ['port 0', { host: '127.0.0.1', port: 0 }],
  ['this network', { host: '0.0.0.0', port: 9 }],
  ['multicast', { host: '224.0.0.1', port: 9 }],
  ['everybody', { host: '255.255.255.255', port: 9 }],
  ['a port where nobody is', { host: '127.0.0.1', port: 9 }],
])('an announcement that sends inviters to %s harms neither them nor the acceptor', async (_what, where) => {
  const node = evil();
  await node.fullyBootstrapped();
  await node.announce(PLACE.topic, library.keyPair(), [where]).finished();
  await bob();
  await exchange(await alice(), invitation(), 15_000);
});

test('a plain HyperDHT client that connects to an acceptor gets no answer, and the acceptor goes on', async () => {
  await bob();
  const node = evil();
  const { publicKey } = await announced(node);
  const stream = node.connect(publicKey, {
    keyPair: library.keyPair(),
    localConnection: false,
    holepunch: () => false,
  });
  let connected = false;
  stream.on('open', () => {
    connected = true;
  });
  stream.on('error', () => {});
  await exchange(await alice(), invitation());
  stream.destroy();
  expect(connected).toBe(false);
});

test('our nodes relay for nobody', async () => {
  const side = await bob();
  const link = await alice();
  await exchange(link, invitation());
  // Two strangers: one announces itself, and the other wants alice's node to relay to it.
  const node = evil();
  const [keyPair, from] = [library.keyPair(), library.keyPair()];
  const server = node.createServer({ holepunch: false, shareLocalAddress: false, firewall: () => true });
  let heard = 0;
  carrier.serve(server, keyPair, {
    admit: () => true,
    receive: async () => {
      heard++;
      return Buffer.from('here');
    },
  });
  await server.listen(keyPair);
  const client = new library({ bootstrap: net.settings.bootstrap, port: [0, 0], ephemeral: true });
  carrier.restrict(client);
  opened.push({ close: () => client.destroy({ force: true }) });
  await client.fullyBootstrapped();
  const own = client.address();
  const ask = (relay: DhtAddress, ms: number) =>
    carrier.ask(
      node,
      { publicKey: keyPair.publicKey, relay },
      from,
      Buffer.from('?'),
      AbortSignal.timeout(ms),
    );
  await expect(ask({ host: '127.0.0.1', port: own?.port ?? 0 }, 500)).rejects.toThrow();
  expect(heard).toBe(0);
  // The same question over a node that relays for the stranger: it announces itself at three of the four.
  const relay = await vi.waitFor(() => {
    const found = server.relayAddresses.find(({ port }) => port !== node.address()?.port);
    if (!found) throw new Error('the stranger is announced nowhere');
    return found;
  }, 20_000);
  const answer = await ask(relay, 2000);
  expect(answer.toString()).toBe('here');
  expect(side.got).toHaveLength(1);
});
