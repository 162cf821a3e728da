import { AwlError } from '../errors.js';
import { bind } from '../stun/client.js';
import { resolveServers } from '../stun/resolve.js';
import type { Endpoint } from '../util/endpoint.js';
import type { HostPort } from '../util/host-port.js';
import type { UdpSocket } from '../util/udp.js';

/** The STUN server that answered, and where it saw us. */
export interface Reflexive {
  readonly server: Endpoint;
  readonly outer: Endpoint;
}

/**
 * Own public endpoint of `socket`: all servers are asked at once, the first answer counts.
 * @throws AwlError STUN_UNREACHABLE if none answers
 */
export async function findReflexive(
  socket: UdpSocket,
  servers: readonly HostPort[],
  signal?: AbortSignal,
): Promise<Reflexive> {
  const endpoints = await resolveServers(servers, socket.local, signal);
  const controller = new AbortController();
  const joined = signal ? AbortSignal.any([signal, controller.signal]) : controller.signal;
  try {
    return await Promise.any(
      endpoints.map(async (server) => ({
        server,
        outer: (await bind(socket, server, { signal: joined })).mapped,
      })),
    );
  } catch (error) {
    signal?.throwIfAborted();
    const first = error instanceof AggregateError ? error.errors[0] : error;
    if (first instanceof AwlError) throw first;
    throw new AwlError('STUN_UNREACHABLE', 'no STUN server answered', {
      hint: 'check --stun-server and that UDP may leave this network; `awl doctor` tells more',
      cause: first,
    });
  } finally {
    controller.abort();
  }
}
