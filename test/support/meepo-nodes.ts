import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Server } from 'node:net';
import { silentLogger } from '../../src/log.js';
import { MeepoNode, type NodeOptions } from '../../src/meepo/node.js';
import { parseRedisUrl } from '../../src/rendezvous/meepo/place.js';
import { meepoKeys } from '../../src/wire/meepo/keys.js';

/** A node that uses loopback only. */
export function loopbackNode(redisUrl: string | undefined, more: Partial<NodeOptions> = {}): MeepoNode {
  return new MeepoNode({
    keys: meepoKeys(),
    webrtc: { iceServers: [], onlyAddress: '127.0.0.1' },
    access: {},
    log: silentLogger,
    ...(redisUrl !== undefined && { redis: parseRedisUrl(redisUrl) }),
    ...more,
  });
}

/** A service that answers every connection with SHA-256 of what it got, once `bytes` came. */
export async function digestService(bytes: number): Promise<{ at: string; server: Server }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash('sha256');
    let length = 0;
    socket.on('error', () => {});
    socket.on('data', (data) => {
      hash.update(data);
      length += data.length;
      if (length === bytes) socket.end(hash.digest('hex'));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return { at: `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`, server };
}

/** Sends random bytes to `at` and yields both digests: what was sent, and what came back. */
export async function sendThrough(at: string, bytes: number): Promise<{ sent: string; got: string }> {
  const data = randomBytes(bytes);
  const [host = '', port = ''] = at.split(':');
  const socket = connect(Number(port), host);
  let got = '';
  socket.on('data', (part) => {
    got += part.toString('latin1');
  });
  socket.on('error', () => {});
  socket.write(data);
  await once(socket, 'close');
  return { sent: createHash('sha256').update(data).digest('hex'), got };
}

/** Waits for a condition, bounded. */
export async function until(check: () => boolean, ms = 10_000): Promise<boolean> {
  for (const end = performance.now() + ms; performance.now() < end; ) {
    if (check()) return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return check();
}
