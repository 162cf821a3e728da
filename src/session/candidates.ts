import { networkInterfaces } from 'node:os';
import { PROBE_GRACE_MS } from '../constants.js';
import type { Logger } from '../log.js';
import { isMoving } from '../punch/feasibility.js';
import { bind } from '../stun/client.js';
import { hostAddresses, type Interfaces, type Outbound } from '../stun/host-addresses.js';
import { outboundAddresses } from '../stun/own-address.js';
import { resolveServers } from '../stun/resolve.js';
import { classOf } from '../stun/sanity.js';
import { type Endpoint, familyOf } from '../util/endpoint.js';
import type { HostPort } from '../util/host-port.js';
import { sleep } from '../util/sleep.js';
import type { UdpSocket } from '../util/udp.js';
import type { Candidate } from '../wire/extension.js';
import type { NatReport } from '../wire/nat-report.js';
import { type CandidateKind, candidateList } from './candidate-list.js';
import type { SessionSockets } from './sockets.js';

/** UPnP takes a router a few hundred milliseconds; a birthday search takes seconds. */
const MOVING_GRACE_MS = 600;

/** The sockets that a letter can tell of. */
type NamedSockets = Pick<SessionSockets, 'main' | 'beside' | 'lease'>;

/** Where a peer of the same networks finds our sockets. */
export function hostEndpoints(sockets: NamedSockets, interfaces: Interfaces, outbound: Outbound): Endpoint[] {
  return [sockets.main, sockets.beside].flatMap((socket) => {
    if (!socket) return [];
    const { address, port } = socket.local;
    const family = familyOf(socket.local);
    const everywhere = address === '0.0.0.0' || address === '::';
    const addresses = everywhere ? hostAddresses(interfaces, outbound, family) : [address];
    const usable = addresses.filter((one) => classOf(one) !== 'link-local' && classOf(one) !== 'unusable');
    return usable.map((one) => ({ address: one, port }));
  });
}

export interface GatheringParts {
  readonly sockets: NamedSockets;
  readonly stun: readonly HostPort[];
  readonly kinds?: readonly CandidateKind[];
  /** Public endpoints of the main socket that are known by now, in the order in which they were made. */
  readonly reflexive: () => readonly Endpoint[];
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Own candidates of one session while they come in; asking for them never waits. */
export class Gathering {
  /** When nothing more will come of it. Never rejects; how long it is waited for is the caller's business. */
  readonly settled: Promise<void>;
  readonly #parts: GatheringParts;
  #host: readonly Endpoint[] = [];
  #beside: readonly Endpoint[] = [];

  constructor(parts: GatheringParts) {
    this.#parts = parts;
    const work = [this.#findHost(), this.#findBeside(), parts.sockets.lease?.settled];
    this.settled = Promise.allSettled(work).then(() => {});
  }

  /**
   * Waits for what is under way, for PROBE_GRACE_MS; behind a NAT that moves, where a mapped port is worth more than
   * anything else, for MOVING_GRACE_MS. Never rejects.
   */
  async ready(report: NatReport, signal?: AbortSignal): Promise<void> {
    const ms = isMoving(report) ? MOVING_GRACE_MS : PROBE_GRACE_MS;
    await Promise.race([this.settled, sleep(ms, signal)]).catch(() => {});
  }

  /** Own addresses, as far as they are known by now. */
  get hosts(): readonly Endpoint[] {
    return this.#host;
  }

  /** What is known by now. */
  list(outer: Endpoint): Candidate[] {
    const srflx = [...this.#beside, ...this.#parts.reflexive()];
    const external = this.#parts.sockets.lease?.external;
    const mapped = external ? [external] : [];
    return candidateList(outer, { host: this.#host, srflx, mapped }, this.#parts.kinds);
  }

  async #findHost(): Promise<void> {
    this.#host = hostEndpoints(this.#parts.sockets, networkInterfaces(), await outboundAddresses());
  }

  /** The IPv6 endpoint as a STUN server sees it, where one of the servers has an IPv6 address. */
  async #findBeside(): Promise<void> {
    const { sockets, stun, log, signal } = this.#parts;
    if (!sockets.beside) return;
    try {
      this.#beside = [await firstAnswer(sockets.beside, stun, signal)];
    } catch (error) {
      if (!signal.aborted)
        log.debug(`no public IPv6 endpoint: ${error instanceof Error ? error.message : ''}`);
    }
  }
}

/** Where the first STUN server that answers sees the socket. @throws AwlError STUN_UNREACHABLE, AggregateError */
export async function firstAnswer(
  socket: UdpSocket,
  stun: readonly HostPort[],
  signal: AbortSignal,
): Promise<Endpoint> {
  const servers = await resolveServers(stun, socket.local, signal);
  const answers = await Promise.any(servers.map((server) => bind(socket, server, { signal })));
  return answers.mapped;
}
