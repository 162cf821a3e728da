import { createServer, type Socket } from 'node:net';
import type { Logger } from '../log.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import { refusalKind } from '../wire/tunnel-refusal.js';
import { formatTarget, parseTarget } from '../wire/tunnel-target.js';
import { ChannelError } from './channel.js';
import type { Gate } from './gate.js';
import { join } from './join.js';
import { bindError, type Listener } from './listener.js';
import { type Greeting, greet } from './proxy-greeting.js';
import { associate } from './proxy-udp.js';
import type { Tunnel } from './tunnel.js';

/** More at once are closed unheard; a browser opens a few hundred. */
const CONNECTIONS_MAX = 1_024;
/** A client that says what it wants more slowly than this says nothing. */
const GREETING_MS = 10_000;
/** Warnings about the peer's refusals; a browser asks for hundreds of places. */
const REFUSALS_LOGGED = 20;

/**
 * A SOCKS 5 and HTTP CONNECT proxy for local programs: what they ask for is opened by the peer, which looks names up
 * and decides. "Succeeded" is said when the peer has reached the target, not before.
 * @throws AwlError TUNNEL_BIND
 */
export async function listenForProxy(gate: Gate, local: Endpoint, log: Logger): Promise<Listener> {
  const sockets = new Set<Socket>();
  let refusals = 0;
  const refused = (name: string, reason: string) => {
    refusals += 1;
    const line = `${name}: the peer says: ${reason}`;
    if (refusals > REFUSALS_LOGGED) log.debug(line);
    else log.info(`${line}${refusals === REFUSALS_LOGGED ? '; more of these only at level debug' : ''}`);
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
    const slow = setTimeout(() => socket.destroy(), GREETING_MS);
    socket.once('close', () => clearTimeout(slow));
    void greet(socket).then(async (greeting) => {
      clearTimeout(slow);
      const tunnel = greeting && (await gate.pass(socket));
      if (!tunnel) return;
      if (greeting.wants === 'connection') open(tunnel, socket, greeting, refused);
      else relay(tunnel, socket, greeting, log);
    });
  });
  server.maxConnections = CONNECTIONS_MAX;
  await new Promise<void>((resolve, reject) => {
    const onError = (cause: Error) => reject(bindError(local, cause, '--socks5'));
    server.once('error', onError);
    server.listen({ host: local.address, port: local.port }, () => {
      server.off('error', onError).on('error', () => {});
      resolve();
    });
  });
  const at = server.address();
  return {
    at: `socks5://${typeof at === 'object' && at !== null ? formatEndpoint(at) : formatEndpoint(local)}`,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function relay(tunnel: Tunnel, socket: Socket, { answer }: Greeting, log: Logger): void {
  associate(tunnel, socket, log).then(
    (bound) => answer('succeeded', undefined, bound),
    () => answer('failed'),
  );
}

function open(
  tunnel: Tunnel,
  socket: Socket,
  { to, answer }: Greeting,
  refused: (name: string, reason: string) => void,
): void {
  let name: string;
  try {
    name = formatTarget(parseTarget(`tcp:${to.host.includes(':') ? `[${to.host}]` : to.host}:${to.port}`));
  } catch {
    answer('unsupported', 'no name or address of a host');
    return;
  }
  const channel = tunnel.connect(name);
  const onGone = () => channel.destroy();
  const onError = (error: Error) => {
    socket.off('close', onGone);
    const reason = error instanceof ChannelError && error.refused ? error.message : 'the connection was lost';
    refused(name, reason);
    answer(refusalKind(reason), reason);
  };
  socket.once('close', onGone);
  channel.once('error', onError);
  channel.once('accepted', () => {
    socket.off('close', onGone);
    channel.off('error', onError);
    answer('succeeded');
    join(socket, channel);
  });
}
