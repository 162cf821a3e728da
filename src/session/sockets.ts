import type { Logger } from '../log.js';
import { outboundAddress } from '../stun/own-address.js';
import type { PortLease } from '../stun/portmap/lease.js';
import { classOf } from '../stun/sanity.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import { UdpSocket } from '../util/udp.js';
import { FreshSockets } from './fresh.js';
import type { RouterWatch } from './routers.js';

/**
 * The sockets of one session. One socket for both families would do without the low TTL: the kernel keeps those of IPv4 and
 * IPv6 apart, and Node sets only one of them. So IPv6 has a socket of its own, of the same port if it can be had.
 */
export interface SessionSockets {
  /** STUN, the reference and plexus' whole protocol are of this one. */
  readonly main: UdpSocket;
  /** IPv6 beside an IPv4 main socket that is bound to no address in particular. */
  readonly beside?: UdpSocket;
  /** A port that the router forwards to the main socket, or is asked to. */
  readonly lease?: PortLease;
  /** For the later rounds of the ladder; opened when they are asked for. */
  readonly fresh: FreshSockets;
}

const ANY_IPV4 = '0.0.0.0';
const ANY_IPV6 = '::';

/**
 * Binds the sockets of a session. That of IPv6 is there only where the machine has a global IPv6 address; that it cannot
 * be had is a line in the debug log.
 * @throws AwlError UDP_BIND
 */
export async function bindSockets(
  bind: Endpoint,
  log: Logger,
  routers?: RouterWatch,
): Promise<SessionSockets> {
  const main = await UdpSocket.bind(bind);
  const lease = routers?.lease(main.local, log);
  const beside = bind.address === ANY_IPV4 ? await bindBeside(main, bind, log) : undefined;
  const fresh = new FreshSockets(bind, log);
  return { main, fresh, ...(beside && { beside }), ...(lease && { lease }) };
}

async function bindBeside(main: UdpSocket, bind: Endpoint, log: Logger): Promise<UdpSocket | undefined> {
  const outbound = await outboundAddress(6);
  if (classOf(outbound) !== 'public') return undefined;
  for (const port of new Set([main.local.port, bind.port])) {
    try {
      return await UdpSocket.bind({ address: ANY_IPV6, port }, { ipv6Only: true });
    } catch (error) {
      log.debug(`no IPv6 socket at ${formatEndpoint({ address: ANY_IPV6, port })}: ${String(error)}`);
    }
  }
  return undefined;
}

/** Closes all but `kept`, or all; a mapped port goes with the socket that it leads to. */
export async function closeSockets(sockets: SessionSockets | undefined, kept?: UdpSocket): Promise<void> {
  if (!sockets) return;
  const open = [sockets.main, sockets.beside].filter((socket) => socket !== kept);
  // The router need not hold up the passage that does without it.
  const leaving = sockets.main === kept ? undefined : sockets.lease?.close();
  await Promise.all([...open.map((socket) => socket?.close()), kept ? undefined : leaving]);
  await sockets.fresh.close(kept);
}
