import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLogger } from '../../src/log.js';
import { MeepoProxy } from '../../src/meepo/proxy.js';
import { encodeCredentials, encodeGreeting, encodeRequest } from '../../src/wire/socks5.js';
import { MeepoModel } from '../support/meepo-model.js';
import { digestService, loopbackNode, sendThrough, until } from '../support/meepo-nodes.js';
import { needs } from '../support/needs.js';
import { PionPeer, pionPeer } from '../support/pion-peer.js';
import { type RedisServer, redisServer } from '../support/redis-server.js';
import { WeriftPeer } from '../support/werift-peer.js';

const BYTES = 400_000;
/** Go takes 12 s of a processor that is not busy. */
const BUILDING_MS = 240_000;

describe.skipIf(!needs('redis-server'))('an awl node and a node that speaks as the real one does', () => {
  let redis: RedisServer;
  let service: Awaited<ReturnType<typeof digestService>>;
  let program = '';
  beforeAll(async () => {
    redis = await redisServer();
    service = await digestService(BYTES);
  });
  afterAll(async () => {
    service?.server.close();
    await redis?.close();
  });

  describe.each([
    { webrtc: 'werift', there: true, begin: () => {}, makePeer: () => new WeriftPeer() },
    {
      webrtc: 'pion, as the real one',
      there: needs('redis-server', 'go', 'pion'),
      begin: () => {
        program = pionPeer(resolve('node_modules/.cache/awl-pion'));
      },
      makePeer: () => new PionPeer(program, '127.0.0.1'),
    },
  ])('on $webrtc', ({ there, begin, makePeer }) => {
    beforeAll(() => (there ? begin() : undefined), BUILDING_MS);
    test.runIf(there)(
      'awl offers, it answers: secret as bcrypt, data exact, closed on both sides',
      async () => {
        const model = new MeepoModel(redis.url, 'AliceAndBob', makePeer);
        const node = loopbackNode(redis.url);
        try {
          await model.start();
          await expect(node.teleport({ peer: model.id, remote: service.at })).rejects.toThrow(
            'unauthorized: require secret',
          );
          const made = await node.teleport({ peer: model.id, remote: service.at, secret: 'AliceAndBob' });
          expect(node.transports.get(model.id)?.isAwl).toBe(false);
          await node.ping(model.id, 'x');
          const { sent, got } = await sendThrough(made.source.address, BYTES);
          expect(got).toBe(sent);
          await node.closeTeleportation(made.name);
          await node.closeTransport(model.id);
          expect(model.requests).toContain('closeTransport');
          expect(node.listTransports()).toEqual([]);
        } finally {
          await node.close();
          await model.close();
        }
      },
    );

    test.runIf(there)('it offers, awl answers: rules hold, wherever it wants to go', async () => {
      const model = new MeepoModel(redis.url, undefined, makePeer);
      const node = loopbackNode(redis.url, { access: { secret: 'AliceAndBob', blocks: ['127.0.0.1:22'] } });
      try {
        await model.start();
        await model.dial(node.id);
        await model.request('ping', { Payload: 'x' });
        await expect(model.teleport('a', service.at)).rejects.toThrow('unauthorized: require secret');
        await expect(model.teleport('a', service.at, 'Wrong')).rejects.toThrow(
          'unauthorized: incorrect password',
        );
        await expect(model.teleport('a', ':22', 'AliceAndBob')).rejects.toThrow('acl: not allowed');
        await expect(model.request('doTeleport', { Name: 'nosuch', Label: 'x:1' })).rejects.toThrow(
          'not exists',
        );
        const made = await model.teleport('web', service.at, 'AliceAndBob');
        const { sent, got } = await sendThrough(made.at, BYTES);
        expect(got).toBe(sent);
        made.close();
        await model.request('closeTransport', {});
        expect(await until(() => node.listTransports().length === 0)).toBe(true);
      } finally {
        await node.close();
        await model.close();
      }
    });
  });

  test('with Redis gone, a peer of a peer is reached through it', async () => {
    const [alice, bob, eve] = [loopbackNode(redis.url), loopbackNode(redis.url), loopbackNode(redis.url)];
    try {
      await bob.transports.ensure(alice.id);
      await eve.transports.ensure(bob.id);
      await redis.stop();
      await eve.transports.ensure(alice.id);
      await eve.ping(alice.id);
      expect(bob.status()['mesh']).toMatchObject({ relayed: 1 });
      await redis.start();
    } finally {
      await Promise.all([alice.close(), bob.close(), eve.close()]);
    }
  });

  test('the proxy tells refused, forbidden and nobody apart, and nobody rides on a password', async () => {
    const [alice, bob] = [
      loopbackNode(redis.url, { access: { secret: 'AliceAndBob' } }),
      loopbackNode(redis.url),
    ];
    const echo = createServer((socket) => void socket.pipe(socket)).listen(0, '127.0.0.1');
    await once(echo, 'listening');
    const address = echo.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const lookup = (name: string) => (name === 'alice' ? alice.id : undefined);
    const proxy = new MeepoProxy({ node: bob, host: '127.0.0.1', port: 0, lookup, log: silentLogger });
    const socks = async (host: string, to: number, password?: string): Promise<string> => {
      const socket = connect(proxy.port, '127.0.0.1');
      let got = '';
      socket.on('data', (data) => {
        got += data.toString('hex');
      });
      socket.on('error', () => {});
      socket.write(encodeGreeting([password === undefined ? 0 : 2]));
      if (password !== undefined) socket.write(encodeCredentials('u', password));
      socket.write(encodeRequest('connect', { host, port: to }));
      const replied = /^0500(?:..)?|^05020100/;
      await until(() => got.replace(/^0500|^05020100/, '').length >= 20 && replied.test(got));
      const reply = got.replace(/^0500|^05020100/, '').slice(2, 4);
      if (reply === '00') {
        socket.write('hello');
        await until(() => got.endsWith(Buffer.from('hello').toString('hex')));
        if (!got.endsWith(Buffer.from('hello').toString('hex'))) return 'silent';
      }
      socket.destroy();
      return reply;
    };
    try {
      await proxy.listen();
      expect(await socks('alice.mpo', port, 'AliceAndBob')).toBe('00');
      expect(await socks(`${alice.id}.mpo`, port, 'AliceAndBob')).toBe('00');
      expect(await socks('alice.mpo', port)).toBe('02');
      expect(await socks('alice.mpo', port, 'Wrong')).toBe('02');
      expect(await socks('alice.mpo', 1, 'AliceAndBob')).toBe('05');
      expect(await socks('example.com', 80)).toBe('04');
      expect(await socks('127.0.0.1', 80)).toBe('03');
      const pac = await (await fetch(`http://127.0.0.1:${proxy.port}/proxy.pac`)).text();
      expect(pac).toContain(`SOCKS5 127.0.0.1:${proxy.port}`);
    } finally {
      await proxy.close();
      echo.close();
      await Promise.all([alice.close(), bob.close()]);
    }
  });
});
