import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MeepoNode } from '../../src/meepo/node.js';
import { meepoKeys, meepoSign } from '../../src/wire/meepo/keys.js';
import { digestService, loopbackNode, sendThrough, until } from '../support/meepo-nodes.js';
import { needs } from '../support/needs.js';
import { type RedisServer, redisServer } from '../support/redis-server.js';

const BYTES = 2_000_000;

describe.skipIf(!needs('redis-server'))('two awl nodes over a Redis server', () => {
  let redis: RedisServer;
  let service: Awaited<ReturnType<typeof digestService>>;
  let alice: MeepoNode;
  let bob: MeepoNode;

  beforeAll(async () => {
    redis = await redisServer();
    service = await digestService(BYTES);
    // Nodes that start before their server connect when it comes.
    await redis.stop();
    alice = loopbackNode(redis.url, { access: { secret: 'AliceAndBob' } });
    bob = loopbackNode(redis.url);
    await redis.start();
  });
  afterAll(async () => {
    await alice?.close();
    await bob?.close();
    service?.server.close();
    await redis?.close();
  });

  test('a teleported port is bit-exact, and needs the secret', async () => {
    const wanted = { peer: alice.id, remote: service.at };
    await expect(bob.teleport(wanted)).rejects.toThrow('unauthorized: require secret');
    await expect(bob.teleport({ ...wanted, secret: 'Wrong' })).rejects.toThrow(
      'unauthorized: incorrect password',
    );
    const made = await bob.teleport({ ...wanted, name: 'web', secret: 'AliceAndBob' });
    const { sent, got } = await sendThrough(made.source.address, BYTES);
    expect(got).toBe(sent);
    expect(bob.transports.get(alice.id)?.link.kind).toBe('passage');
    expect(alice.listTeleportations()).toMatchObject([{ name: 'web', portal: 'sink', peer: bob.id }]);
    // The same place again is the same teleportation.
    expect((await bob.teleport({ ...wanted, name: 'other' })).source).toEqual(made.source);
    await bob.ping(alice.id, 'hello');
  });

  test('a refused port is a reset, not an empty answer', async () => {
    const made = await bob.teleport({ peer: alice.id, remote: '127.0.0.1:1', secret: 'AliceAndBob' });
    const [host = '', port = ''] = made.source.address.split(':');
    const error = await new Promise<NodeJS.ErrnoException>((resolve) => {
      connect(Number(port), host).on('error', resolve).write('x');
    });
    expect(error.code).toBe('ECONNRESET');
  });

  test('a node that can only sign, as with an ssh-agent, is called by another awl', async () => {
    const { seed, ...whole } = meepoKeys();
    const keys = { ...whole, seed: Buffer.alloc(0), signer: async (text: Buffer) => meepoSign(seed, text) };
    const signing = loopbackNode(redis.url, { keys });
    try {
      const hears = () => redis.ask('PUBSUB', 'NUMSUB', `meepo.engine.${keys.id}`);
      await expect.poll(hears, { timeout: 10_000 }).toMatch(/:1\r\n$/);
      const made = await bob.teleport({ peer: keys.id, remote: service.at });
      const { sent, got } = await sendThrough(made.source.address, BYTES);
      expect(got).toBe(sent);
    } finally {
      await signing.close();
    }
  });

  test('nobody but its two ends closes a teleportation', async () => {
    const eve = loopbackNode(redis.url);
    try {
      const transport = await eve.transports.ensure(alice.id);
      const { encodeBody } = await import('../../src/wire/meepo/packet.js');
      const close = encodeBody({ Name: 'web' });
      await expect(transport.conversation.request('closeTeleportation', close)).rejects.toThrow(
        'teleportation not exists',
      );
      expect(alice.listTeleportations().some(({ name }) => name === 'web')).toBe(true);
      await bob.closeTeleportation('web');
      expect(await until(() => !alice.listTeleportations().some(({ name }) => name === 'web'))).toBe(true);
      await expect(bob.closeTeleportation('web')).rejects.toThrow('teleportation not exists');
    } finally {
      await eve.close();
    }
  });

  test.each([
    ['awl’s own path', true],
    ['WebRTC', false],
  ])('a peer that was restarted takes the place of its old self at once, over %s', async (_way, passages) => {
    const keys = meepoKeys();
    const before = loopbackNode(redis.url, { keys, passages });
    await before.transports.ensure(bob.id);
    // Bob's side may learn of it a little later.
    expect(await until(() => bob.transports.get(keys.id)?.state === 'connected')).toBe(true);
    // Killed: it says nothing to anybody.
    const old = bob.transports.get(keys.id);
    expect(old?.kind).toBe(passages ? 'passage' : 'webrtc');
    const after = loopbackNode(redis.url, { keys, passages });
    try {
      const begun = performance.now();
      await after.transports.ensure(bob.id);
      await after.ping(bob.id);
      // The real one refuses for 30 s.
      expect(performance.now() - begun).toBeLessThan(20_000);
      expect(await until(() => bob.transports.get(keys.id) !== old && old?.state === 'closed')).toBe(true);
    } finally {
      await after.close();
      await before.close();
    }
  });

  test('a peer that is not there, and a name that is none, are told', async () => {
    await expect(bob.teleport({ peer: 'badid', remote: ':1' })).rejects.toThrow('invalid peer id');
    expect(bob.newTransport('badid')).toEqual({ peerID: 'badid', state: 'new' });
    await expect(bob.ping(meepoKeys().id)).rejects.toThrow('transport not exists');
    expect(() => bob.newTransport(alice.id)).toThrow('transport exists');
  });

  test('closing a transport takes its teleportations along on both sides', async () => {
    await bob.closeTransport(alice.id);
    expect(bob.listTransports()).toEqual([]);
    expect(await until(() => alice.listTransports().every(({ peerID }) => peerID !== bob.id))).toBe(true);
    expect(bob.listTeleportations()).toEqual([]);
    expect(alice.listTeleportations()).toEqual([]);
  });
});
