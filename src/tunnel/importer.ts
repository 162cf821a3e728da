import { lstat, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Logger } from '../log.js';
import { formatEndpoint } from '../util/endpoint.js';
import { formatTarget, type ImportSpec, type LocalSpec } from '../wire/tunnel-target.js';
import { ChannelError } from './channel.js';
import { listenForFlows } from './flow-importer.js';
import type { Gate } from './gate.js';
import { join } from './join.js';
import { bindError, type Listener } from './listener.js';

/**
 * Listens for every import; all or none.
 * @throws AwlError TUNNEL_BIND naming the port that is taken
 */
export async function listenForImports(
  gate: Gate,
  imports: readonly ImportSpec[],
  log: Logger,
): Promise<Listener[]> {
  const listeners: Listener[] = [];
  try {
    for (const spec of imports) {
      const { local, target } = spec;
      if (target.protocol === 'udp' && 'port' in local) {
        listeners.push(await listenForFlows(gate, local, target, log));
      } else listeners.push(await listen(gate, spec, log));
    }
    return listeners;
  } catch (error) {
    await Promise.all(listeners.map((listener) => listener.close()));
    throw error;
  }
}

async function listen(gate: Gate, { local, target }: ImportSpec, log: Logger): Promise<Listener> {
  const name = formatTarget(target);
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
    void gate.pass(socket).then((tunnel) => {
      if (!tunnel) return;
      const channel = tunnel.connect(name);
      channel.once('error', (error) => {
        if (error instanceof ChannelError && error.refused)
          log.warning(`${name}: the peer says: ${error.message}`);
      });
      join(socket, channel);
    });
  });
  await bound(server, local);
  const at = server.address();
  return {
    at: typeof at === 'object' && at !== null ? formatEndpoint(at) : String(at),
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function bound(server: Server, local: LocalSpec): Promise<void> {
  try {
    await listening(server, local).catch(async (error) => {
      if (!('path' in local && (await isLeftBehind(local.path)))) throw error;
      await rm(local.path);
      await listening(server, local);
    });
  } catch (error) {
    throw bindError(local, error);
  }
  // Running out of descriptors for a while must not end the process.
  server.on('error', () => {});
}

function listening(server: Server, local: LocalSpec): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen('path' in local ? { path: local.path } : { host: local.address, port: local.port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** A socket's file whose program was killed: the kernel leaves it there, and refuses who connects. */
async function isLeftBehind(path: string): Promise<boolean> {
  const file = await lstat(path).catch(() => undefined);
  if (!file?.isSocket()) return false;
  const socket = connect(path);
  const code = await new Promise<string | undefined>((resolve) => {
    socket.once('connect', () => resolve(undefined));
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
  });
  socket.destroy();
  return code === 'ECONNREFUSED';
}
