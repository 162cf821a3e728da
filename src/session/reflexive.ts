import { AwlError } from '../errors.js';
import { bind } from '../stun/client.js';
import { resolveServers } from '../stun/resolve.js';
import type { Endpoint } from '../util/endpoint.js';
import type { HostPort } from '../util/host-port.js';
import { sleep } from '../util/sleep.js';
import type { UdpSocket } from '../util/udp.js';

/** The STUN server that answered first, where it saw us, and all that the servers said, in the order of asking. */
export interface Reflexive {
  readonly server: Endpoint;
  readonly outer: Endpoint;
  readonly all: readonly Endpoint[];
}

export interface ReflexiveOptions {
  readonly signal?: AbortSignal;
  /** How long the other servers may take after the first answer; 0: they are not waited for. */
  readonly graceMs?: number;
}

/**
 * Own public endpoint of `socket`: all servers are asked at once, the first answer counts.
 * @throws AwlError STUN_UNREACHABLE if none answers
 */
export async function findReflexive(
  socket: UdpSocket,
  servers: readonly HostPort[],
  { signal, graceMs = 0 }: ReflexiveOptions = {},
): Promise<Reflexive> {
  const endpoints = await resolveServers(servers, socket.local, signal);
  const controller = new AbortController();
  const joined = signal ? AbortSignal.any([signal, controller.signal]) : controller.signal;
  const seen: (Endpoint | undefined)[] = endpoints.map(() => undefined);
  const asking = endpoints.map(async (server, index) => {
    const { mapped } = await bind(socket, server, { signal: joined });
    seen[index] = mapped;
    return { server, outer: mapped };
  });
  try {
    const first = await Promise.any(asking);
    if (graceMs > 0) await Promise.race([Promise.allSettled(asking), sleep(graceMs, signal)]);
    return { ...first, all: seen.filter((one) => one !== undefined) };
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
