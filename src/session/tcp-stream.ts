import { createServer } from 'node:net';
import type { Duplex } from 'node:stream';
import { HANDSHAKE_TIMEOUT_MS } from '../constants.js';
import { AwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import { openTcp } from '../punch/tcp-open.js';
import { formatEndpoint } from '../util/endpoint.js';
import { deadline } from '../util/sleep.js';
import { deriveTunnelTcpKeys } from '../wire/tunnel-tcp-keys.js';
import type { Passage } from './passage.js';
import { TcpRace } from './tcp-race.js';

/**
 * The TCP connection that a passage of `transport` tcp is for, made as its `qos` says: the server listens at `inner`,
 * the client connects from there to `alien`. TLS 1.3 keyed by the session, so both ends are proved.
 * @throws AwlError USAGE_CONFLICT for a passage of UDP, TUNNEL_REFUSED toward a plexus, TCP_BIND, HANDSHAKE_TIMEOUT; the signal's reason
 */
export async function openTcpStream(passage: Passage, signal?: AbortSignal): Promise<Duplex> {
  const { transport, qos, sessionKey, role, inner, alien } = passage;
  if (transport !== 'tcp') {
    throw new AwlError('USAGE_CONFLICT', 'this passage is one of UDP; stream() is for those of TCP', {
      hint: 'use connect(), listen() and datagram()',
    });
  }
  if (!sessionKey) {
    throw new AwlError(
      'TUNNEL_REFUSED',
      `${formatName(passage.peer)} gave no key to encrypt with; it is not awl`,
      {
        hint: 'make the connection yourself, from inner to alien',
      },
    );
  }
  const late = () =>
    new AwlError('HANDSHAKE_TIMEOUT', `no TCP connection with ${formatEndpoint(alien)} came about`, {
      hint: 'both sides must call stream(); a NAT may let no TCP through',
    });
  const limit = deadline(HANDSHAKE_TIMEOUT_MS, late, signal);
  const over = new AbortController();
  const race = new TcpRace(role, deriveTunnelTcpKeys(sessionKey), limit.signal);
  const server = qos?.endsWith(':server') ? createServer((socket) => race.enter(socket)) : undefined;
  try {
    if (server) {
      await new Promise<void>((resolve, reject) => {
        server.once('error', (cause) => {
          const problem = `cannot listen on ${formatEndpoint(inner)} for the peer: ${cause.message}`;
          reject(new AwlError('TCP_BIND', problem, { cause }));
        });
        server.listen({ host: inner.address, port: inner.port }, resolve);
      });
      server.removeAllListeners('error').on('error', () => {});
    } else void connecting(passage, race, AbortSignal.any([limit.signal, over.signal]));
    return await race.won;
  } finally {
    limit.dispose();
    over.abort(new Error('the race is over'));
    race.end();
    server?.close();
  }
}

async function connecting({ inner, alien }: Passage, race: TcpRace, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const socket = await openTcp({ local: inner, peer: alien, signal });
    if (!socket) continue;
    race.enter(socket);
    // What closes before the race is over was not proved in time.
    await new Promise((resolve) => socket.once('close', resolve));
  }
}
