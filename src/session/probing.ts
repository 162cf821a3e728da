import { probe as measure } from '../stun/probe.js';
import { resolveServers } from '../stun/resolve.js';
import type { Endpoint } from '../util/endpoint.js';
import type { HostPort } from '../util/host-port.js';
import { UdpSocket } from '../util/udp.js';
import type { NatReport } from '../wire/nat-report.js';

export interface ProbeSettings {
  readonly stun: readonly HostPort[];
  readonly bind?: Endpoint;
  readonly signal?: AbortSignal;
}

/** Own public endpoint and the behaviour of the NAT in front of it; "not measured" is a value. */
export interface ProbeResult {
  readonly inner: Endpoint;
  readonly outer: Endpoint;
  readonly report: NatReport;
}

/**
 * Measures the own NAT on a socket made for it.
 * @throws AwlError STUN_UNREACHABLE, UDP_BIND
 */
export async function probe(settings: ProbeSettings): Promise<ProbeResult> {
  const socket = await UdpSocket.bind(settings.bind ?? { address: '0.0.0.0', port: 0 });
  try {
    const servers = await resolveServers(settings.stun, socket.local, settings.signal);
    const measuring = measure(socket, servers, settings.signal ? { signal: settings.signal } : {});
    const outer = await measuring.endpoint;
    return { inner: socket.local, outer, report: await measuring.report };
  } finally {
    await socket.close();
  }
}
