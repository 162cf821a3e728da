import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A private redis-server on loopback that keeps nothing on disk. */
export interface RedisServer {
  readonly port: number;
  readonly url: string;
  /** One command over a connection of its own; the raw reply. */
  ask(...words: string[]): Promise<string>;
  stop(): Promise<void>;
  /** Again on the same port. */
  start(): Promise<void>;
  close(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' && address ? address.port : 0;
}

export async function redisServer(address = '127.0.0.1'): Promise<RedisServer> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'awl-redis-'));
  let child: ChildProcess | undefined;
  const ask = (...words: string[]) =>
    new Promise<string>((resolve, reject) => {
      const socket = connect(port, address);
      let reply = '';
      socket.setTimeout(5000, () => socket.destroy(new Error('redis-server is silent')));
      socket.on('data', (data) => {
        reply += data.toString('latin1');
        socket.end();
      });
      socket.on('error', reject);
      socket.on('close', () => resolve(reply));
      const parts = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
      socket.write(`*${words.length}\r\n${parts.join('')}`);
    });
  const server: RedisServer = {
    port,
    url: `redis://${address}:${port}/1`,
    ask,
    async start() {
      const options = { port, bind: address, dir: folder, save: '', 'protected-mode': 'no' };
      const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
      child = spawn('redis-server', args, { stdio: 'ignore' });
      for (let i = 0; i < 200; i++) {
        if ((await ask('PING').catch(() => '')).startsWith('+PONG')) return;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      throw new Error('redis-server does not start');
    },
    async stop() {
      if (!child || child.exitCode !== null) return;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    },
    async close() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
  await server.start();
  return server;
}
