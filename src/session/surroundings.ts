import type { Logger } from '../log.js';
import type { Ipv6State, PortMappingState } from '../stun/explain.js';
import { outboundAddress } from '../stun/own-address.js';
import { classOf } from '../stun/sanity.js';
import { type Endpoint, familyOf } from '../util/endpoint.js';
import type { HostPort } from '../util/host-port.js';
import { untilAborted } from '../util/sleep.js';
import { UdpSocket } from '../util/udp.js';
import { firstAnswer } from './candidates.js';
import { RouterWatch } from './routers.js';

export interface LookOptions {
  readonly bind: Endpoint;
  readonly log: Logger;
  /** Ends the look; what is known by then counts. */
  readonly signal: AbortSignal;
}

/**
 * Asks the router for a port, as a session would, and gives it back.
 * @throws AwlError UDP_BIND
 */
export async function tryPortMapping({ bind, log, signal }: LookOptions): Promise<PortMappingState> {
  const routers = new RouterWatch(log);
  // A port of its own: the one of the diagnosis has mappings that should stay what they are.
  const socket = await UdpSocket.bind({ address: bind.address, port: 0 });
  const lease = routers.lease(socket.local, log);
  try {
    if (!lease) return { state: 'none', problem: 'the local address is none of a network behind a router' };
    await Promise.race([lease.settled, untilAborted(signal)]);
    const { external, protocol, router, problem } = lease;
    if (!external) return { state: problem === undefined ? 'none' : 'refused', ...(problem && { problem }) };
    return {
      state: 'mapped',
      external,
      ...(protocol && { protocol }),
      ...(router && { gateway: router.gateway }),
      ...(router?.name !== undefined && { router: router.name }),
    };
  } finally {
    routers.close();
    await Promise.all([lease?.close(), socket.close()]);
  }
}

/** Has this machine a global IPv6 address, and where does a STUN server see it? Never throws. */
export async function tryIpv6(
  stun: readonly HostPort[],
  { bind, log, signal }: LookOptions,
): Promise<Ipv6State> {
  const any = bind.address === '0.0.0.0' || bind.address === '::';
  const address = any ? await outboundAddress(6) : bind.address;
  if (familyOf({ address, port: 0 }) !== 6 || classOf(address) !== 'public') return {};
  let socket: UdpSocket | undefined;
  try {
    socket = await UdpSocket.bind({ address: any ? '::' : address, port: 0 }, { ipv6Only: true });
    return { address, endpoint: await firstAnswer(socket, stun, signal) };
  } catch (error) {
    log.debug(`no public IPv6 endpoint: ${error instanceof Error ? error.message : String(error)}`);
    return { address };
  } finally {
    await socket?.close();
  }
}
