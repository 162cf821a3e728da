import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { silentLogger } from '../../src/log.js';
import type { MeepoNode } from '../../src/meepo/node.js';
import { MeepoProxy } from '../../src/meepo/proxy.js';
import { AWL } from '../support/awl.js';
import { MeepoModel } from '../support/meepo-model.js';
import { loopbackNode, until } from '../support/meepo-nodes.js';
import { needs } from '../support/needs.js';
import { type RedisServer, redisServer } from '../support/redis-server.js';

const QUESTION = Buffer.alloc(200_000, 'q');
const ANSWER = Buffer.alloc(300_000, 'a');
/** No more than the stand-in still sends when its service has ended. */
const SHORT = ANSWER.subarray(0, 100_000);

/** A service of netcat's kind; what it does with each connection. */
async function service(handler: (socket: Socket) => void): Promise<string> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    handler(socket);
  }).listen(0, '127.0.0.1');
  onTestFinished(() => {
    server.close();
  });
  await once(server, 'listening');
  const address = server.address();
  return `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
}

/** Answers how much it was asked only when it has been asked all. */
const answersBehindTheEnd = () =>
  service((socket) => {
    let asked = 0;
    socket.on('data', (data) => {
      asked += data.length;
    });
    socket.once('end', () =>
      setTimeout(() => socket.end(Buffer.concat([ANSWER, Buffer.from(`${asked}`)])), 300),
    );
  });

const EXPECTED = ANSWER.length + String(QUESTION.length).length;

function dial(at: string): Socket {
  const [host = '', port = ''] = at.split(':');
  const socket = connect({ host, port: Number(port), allowHalfOpen: true });
  socket.on('error', () => {});
  onTestFinished(() => {
    socket.destroy();
  });
  return socket;
}

/** All that comes until the other side ends. */
async function all(socket: Socket): Promise<Buffer> {
  const parts: Buffer[] = [];
  socket.on('data', (data) => parts.push(data));
  if (!socket.readableEnded) await once(socket, 'end');
  return Buffer.concat(parts);
}

describe.skipIf(!needs('redis-server'))('the end of one direction', () => {
  let redis: RedisServer;
  let alice: MeepoNode;
  let bob: MeepoNode;
  beforeAll(async () => {
    redis = await redisServer();
    [alice, bob] = [loopbackNode(redis.url), loopbackNode(redis.url)];
  });
  afterAll(async () => {
    await Promise.all([alice?.close(), bob?.close()]);
    await redis?.close();
  });

  test('a client that ends its side between two awls gets the answer that only then begins', async () => {
    const made = await bob.teleport({ peer: alice.id, remote: await answersBehindTheEnd() });
    expect(bob.transports.get(alice.id)?.link).toMatchObject({ kind: 'passage', halfClose: true });
    const socket = dial(made.source.address);
    const got = all(socket);
    socket.end(QUESTION);
    const answer = await got;
    expect(answer.length).toBe(EXPECTED);
    expect(answer.subarray(ANSWER.length).toString()).toBe(String(QUESTION.length));
    expect(await until(() => socket.closed)).toBe(true);
  });

  test('a service that ends its side first hears its client to the end', async () => {
    let heard = 0;
    let over = false;
    const at = await service((socket) => {
      socket.end('hello');
      socket.on('data', (data) => {
        heard += data.length;
      });
      socket.once('end', () => {
        over = true;
      });
    });
    const made = await bob.teleport({ peer: alice.id, remote: at });
    const socket = dial(made.source.address);
    expect((await all(socket)).toString()).toBe('hello');
    socket.end(QUESTION);
    expect(await until(() => over)).toBe(true);
    expect(heard).toBe(QUESTION.length);
  });

  test('ncat gives its end of input on, prints the answer that comes behind it, and ends', async () => {
    const at = await answersBehindTheEnd();
    const log = silentLogger;
    const lookup = (name: string) => (name === 'alice' ? alice.id : undefined);
    const proxy = new MeepoProxy({ node: bob, host: '127.0.0.1', port: 0, lookup, log });
    await proxy.listen();
    onTestFinished(() => proxy.close());
    const words = [
      'meepo',
      'ncat',
      '--proxy',
      `127.0.0.1:${proxy.port}`,
      'alice.mpo',
      at.split(':')[1] ?? '',
    ];
    const child = spawn(process.execPath, [AWL, ...words], { stdio: ['pipe', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    let printed = 0;
    child.stdout.on('data', (data: Buffer) => {
      printed += data.length;
    });
    const ended = once(child, 'close');
    child.stdin.end(QUESTION);
    expect(await ended).toEqual([0, null]);
    expect(printed).toBe(EXPECTED);
  });

  test('toward a node that knows no half-close the end is held back while the answer comes', async () => {
    const model = new MeepoModel(redis.url);
    const node = loopbackNode(redis.url);
    try {
      await model.start();
      let ended = false;
      const at = await service((socket) => {
        let asked = 0;
        socket.on('data', (data) => {
          asked += data.length;
          // Later than the client's end, which it must not hear of.
          if (asked === QUESTION.length) setTimeout(() => socket.end(ended ? 'cut off' : SHORT), 500);
        });
        socket.once('end', () => {
          ended = true;
        });
      });
      const made = await node.teleport({ peer: model.id, remote: at });
      expect(node.transports.get(model.id)?.link.halfClose).toBe(false);
      const socket = dial(made.source.address);
      const got = all(socket);
      socket.end(QUESTION);
      // The model's TCP socket closes, and with it its data channel: that is the end of both directions here.
      expect((await got).length).toBe(SHORT.length);
      expect(await until(() => socket.closed)).toBe(true);
      expect(await until(() => node.listTeleportations()[0]?.channels === 0)).toBe(true);
    } finally {
      await node.close();
      await model.close();
    }
  });

  test('a node that knows no half-close and closes its channel leaves nothing open, and nothing of it is lost', async () => {
    const model = new MeepoModel(redis.url);
    const node = loopbackNode(redis.url);
    try {
      await model.start();
      await model.dial(node.id);
      const closed: boolean[] = [];
      let heard = 0;
      const at = await service((socket) => {
        socket.on('data', (data) => {
          heard += data.length;
        });
        socket.once('end', () => socket.end());
        socket.once('close', () => closed.push(true));
      });
      const made = await model.teleport('drop', at);
      const socket = dial(made.at);
      // Its end closes the model's channel behind what was sent: the service hears all, and then the end.
      socket.end(QUESTION);
      expect(await until(() => closed.length === 1)).toBe(true);
      expect(heard).toBe(QUESTION.length);
      made.close();
    } finally {
      await node.close();
      await model.close();
    }
  });
});
