import { afterEach, expect, test } from 'vitest';
import { Conversation } from '../../src/meepo/conversation.js';
import { Selfmesh } from '../../src/meepo/selfmesh.js';
import type { Transport } from '../../src/meepo/transport.js';
import { openAnswer, openOffer, sealAnswer, sealOffer } from '../../src/wire/meepo/descriptor.js';
import { type MeepoKeys, meepoKeys } from '../../src/wire/meepo/keys.js';
import { type Packet, signPacket } from '../../src/wire/meepo/packet.js';
import { decodeHop, encodeHop, encodeWireBody } from '../../src/wire/meepo/wire-packet.js';
import { until } from '../support/meepo-nodes.js';

/** A node with nothing but control channels to its neighbours. */
class Station {
  readonly keys = meepoKeys();
  readonly mesh: Selfmesh;
  readonly paths = new Map<string, Transport>();
  /** Broadcasts that arrived, and offers that were for us. */
  readonly heard: Packet[] = [];
  offers = 0;

  constructor() {
    this.mesh = new Selfmesh({
      keys: this.keys,
      connected: () => [...this.paths.values()],
      answer: async (offer) => {
        this.offers += 1;
        return sealAnswer(this.keys, openOffer(this.keys, offer).secret, `v=0 ${this.keys.id}`);
      },
    });
  }
}

const open: Conversation[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

function join(a: Station, b: Station): void {
  const half = (own: Station, other: Station) => {
    const conversation: Conversation = new Conversation({
      keys: own.keys,
      peer: other.keys.id,
      handlers: {},
      send: async (bytes) => {
        setImmediate(() => other.paths.get(own.keys.id)?.conversation.receive(bytes));
      },
      broadcast: (packet) => {
        own.heard.push(packet);
        return own.mesh.receive(packet, own.paths.get(other.keys.id) as Transport);
      },
    });
    open.push(conversation);
    own.paths.set(other.keys.id, { peer: other.keys.id, conversation } as unknown as Transport);
  };
  half(a, b);
  half(b, a);
}

const crowd = (count: number) => Array.from({ length: count }, () => new Station());
const settled = () => new Promise((resolve) => setTimeout(resolve, 300));

async function wire(from: Station, to: MeepoKeys, signal = AbortSignal.timeout(20_000)): Promise<string> {
  const { descriptor, secret } = sealOffer(from.keys, to.id, 'v=0');
  return openAnswer(to.id, secret, await from.mesh.wire(to.id, descriptor, signal));
}

test('an offer passes a line of relays, and the answer is the target’s own', async () => {
  const line = crowd(6);
  for (const [i, one] of line.slice(1).entries()) join(line[i]!, one);
  const [first, last] = [line[0]!, line[5]!];
  expect(await wire(first, last.keys)).toBe(`v=0 ${last.keys.id}`);
  expect(line.slice(1, 5).map(({ mesh }) => mesh.counts.relayed)).toEqual([1, 1, 1, 1]);
  expect(last.offers).toBe(1);
});

test('in a mesh full of cycles each node passes an offer on once, and the target answers one of them', async () => {
  const all = crowd(8);
  // Everybody knows everybody but the target, whom two of them know.
  const [origin, ...relays] = all as [Station, ...Station[]];
  const target = new Station();
  for (const [i, one] of all.entries()) for (const other of all.slice(i + 1)) join(one, other);
  join(relays[2]!, target);
  join(relays[5]!, target);
  expect(await wire(origin, target.keys)).toBe(`v=0 ${target.keys.id}`);
  expect(await until(() => relays.every(({ mesh }) => mesh.counts.relayed > 0), 30_000)).toBe(true);
  await settled();
  expect(target.offers).toBe(1);
  for (const { mesh } of relays) expect(mesh.counts.relayed).toBe(1);
  // Origin to seven; each of those to at most its six others and the target.
  const messages = [...all, target].reduce((sum, { heard }) => sum + heard.length, 0);
  expect(messages).toBeLessThanOrEqual(7 + 7 * 7);
});

test('an offer for nobody dies out, in a ring as well', async () => {
  const ring = crowd(5);
  for (const [i, one] of ring.entries()) join(one, ring[(i + 1) % 5]!);
  const stop = new AbortController();
  const asked = wire(ring[0]!, meepoKeys(), stop.signal);
  asked.catch(() => {});
  expect(
    await until(() => ring.slice(1).every(({ mesh }) => mesh.counts.relayed + mesh.counts.dropped > 0)),
  ).toBe(true);
  await settled();
  expect(ring.reduce((sum, { heard }) => sum + heard.length, 0)).toBeLessThanOrEqual(10);
  stop.abort(new Error('enough'));
  await expect(asked).rejects.toThrow('enough');
});

test('an offer that came before is dropped, whoever brings it and under whatever session', async () => {
  const [alice, bob, eve] = crowd(3) as [Station, Station, Station];
  join(alice, bob);
  join(eve, bob);
  await wire(alice, bob.keys);
  const { inner } = decodeHop(bob.heard[0]!.data);
  const { conversation } = eve.paths.get(bob.keys.id)!;
  for (const hop of [16, 3, 0]) {
    // A relay that drops says nothing.
    conversation.ask('broadcastRequest', 'wire', encodeHop(hop, inner)).catch(() => {});
  }
  expect(await until(() => bob.mesh.counts.dropped === 3)).toBe(true);
  expect(bob.offers).toBe(1);
});

test('an offer that its origin did not sign as it is, or that has gone far enough, is passed on to nobody', async () => {
  const [alice, bob, carol] = crowd(3) as [Station, Station, Station];
  join(alice, bob);
  join(bob, carol);
  const { descriptor } = sealOffer(alice.keys, carol.keys.id, 'v=0');
  const inner = (session: number) =>
    signPacket(alice.keys, {
      header: {
        ...{ type: 'request', method: 'wire', session },
        ...{ source: alice.keys.id, destination: carol.keys.id },
      } as const,
      data: encodeWireBody(descriptor),
    });
  const changed = { ...inner(1), header: { ...inner(1).header, session: 2 } };
  const { conversation } = alice.paths.get(bob.keys.id)!;
  const say = (hop: number, packet: Packet) =>
    conversation.ask('broadcastRequest', 'wire', encodeHop(hop, packet));
  say(16, changed).catch(() => {});
  say(0, inner(3)).catch(() => {});
  expect(await until(() => bob.mesh.counts.dropped === 2)).toBe(true);
  expect(carol.heard).toEqual([]);
  // Nobody is asked for it who brought it.
  const eve = new Station();
  join(eve, bob);
  const toEve = bob.mesh.receive(
    {
      ...inner(5),
      data: encodeHop(
        16,
        signPacket(alice.keys, { ...inner(5), header: { ...inner(5).header, destination: meepoKeys().id } }),
      ),
    },
    bob.paths.get(eve.keys.id) as Transport,
  );
  toEve.catch(() => {});
  expect(await until(() => carol.heard.length === 1)).toBe(true);
  await settled();
  expect(eve.heard).toEqual([]);
  carol.heard.length = 0;
  // Whatever hop count it claims, it goes no farther than any other.
  const claimed = await say(1_000_000, inner(4));
  expect(decodeHop(claimed.data).hop).toBe(15);
  expect(carol.heard.map((packet) => decodeHop(packet.data).hop)).toEqual([15]);
});

test('an offer that somebody else signs for is answered by why not', async () => {
  const [alice, bob, eve] = crowd(3) as [Station, Station, Station];
  join(eve, bob);
  const { descriptor } = sealOffer(alice.keys, bob.keys.id, 'v=0');
  await expect(eve.mesh.wire(bob.keys.id, descriptor, AbortSignal.timeout(20_000))).rejects.toThrow(
    'the offer is of somebody else',
  );
  expect(bob.offers).toBe(0);
});

test('what a relay makes up in the name of the target, or changes, is no answer', async () => {
  const [alice, relay] = crowd(2) as [Station, Station];
  const target = new Station();
  join(alice, relay);
  const lies: ((inner: Packet, hop: number) => Buffer)[] = [
    (inner, hop) =>
      encodeHop(
        hop,
        signPacket(relay.keys, {
          header: { ...inner.header, type: 'response', source: target.keys.id, destination: alice.keys.id },
          data: inner.data,
        }),
      ),
    (inner, hop) =>
      encodeHop(
        hop,
        signPacket(relay.keys, {
          header: { ...inner.header, type: 'response', source: relay.keys.id, destination: alice.keys.id },
          data: inner.data,
        }),
      ),
    // A true word of the target about something else.
    (inner, hop) =>
      encodeHop(
        hop,
        signPacket(target.keys, {
          header: {
            ...inner.header,
            type: 'response',
            session: 1,
            source: target.keys.id,
            destination: alice.keys.id,
          },
          data: inner.data,
        }),
      ),
    (inner, hop) => encodeHop(hop, inner),
  ];
  for (const lie of lies) {
    relay.mesh.receive = async (packet) => {
      const { hop, inner } = decodeHop(packet.data);
      return lie(inner, hop);
    };
    await expect(wire(alice, target.keys)).rejects.toThrow('unauthenticated');
  }
  relay.mesh.receive = async () => Buffer.from('junk');
  await expect(wire(alice, target.keys)).rejects.toMatchObject({ code: 'MESSAGE_MALFORMED' });
});

test('without neighbours there is no mesh, and a target that is a neighbour is asked alone', async () => {
  const lonely = new Station();
  await expect(wire(lonely, meepoKeys())).rejects.toThrow('out of edge');
  const [alice, bob, carol] = crowd(3) as [Station, Station, Station];
  join(alice, bob);
  join(alice, carol);
  await wire(alice, bob.keys);
  expect(carol.heard).toEqual([]);
});
