import { startBootstrapNode } from '../rendezvous/hyperdht/node.js';
import { StunServer } from '../stun/server.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import type { HostPort } from '../util/host-port.js';
import { untilAborted } from '../util/sleep.js';
import { nodeMetrics } from './dht-node.js';
import type { Io } from './io.js';
import { serveMetrics } from './metrics.js';

export interface HubArgs {
  /** One or two addresses of this machine; the first also serves the DHT. */
  readonly listen: readonly string[];
  /** Address by which others reach this machine, where that is none of its own. */
  readonly public?: string;
  readonly stunPort: number;
  readonly altPort: number;
  readonly dhtPort: number;
  /** Other nodes of the same network. */
  readonly bootstrap: readonly HostPort[];
  readonly metrics?: Endpoint;
}

/**
 * `awl hub`: STUN server and DHT node in one process, all that a team needs of its own, until the signal aborts; one
 * line on standard error when it is ready.
 * @throws AwlError UDP_BIND, TCP_BIND, USAGE_BAD_VALUE
 */
export async function runHub(args: HubArgs, io: Pick<Io, 'stderr'>, signal: AbortSignal): Promise<number> {
  const stun = await StunServer.start({ addresses: args.listen, port: args.stunPort, altPort: args.altPort });
  try {
    // A wildcard has become an address by now, and both must name the same one.
    const [address] = stun.layout.addresses;
    const host = args.public ?? address;
    const node = await startBootstrapNode({ host, port: args.dhtPort, bootstrap: args.bootstrap });
    try {
      const read = () => ({
        ...nodeMetrics(node.metrics()),
        awl_stun_answered_total: stun.stats.answered,
        awl_stun_ignored_total: stun.stats.ignored,
        awl_stun_limited_total: stun.stats.limited,
      });
      const metrics = args.metrics && (await serveMetrics(args.metrics, read));
      try {
        const server = formatEndpoint({ address: host, port: stun.layout.port });
        const dht = formatEndpoint(node.endpoint);
        io.stderr(`hub ready: --stun-server=${server} --dht-bootstrap=${dht}\n`);
        if (metrics) io.stderr(`metrics on http://${formatEndpoint(metrics.endpoint)}/metrics\n`);
        await untilAborted(signal);
        return 0;
      } finally {
        await metrics?.close();
      }
    } finally {
      await node.close();
    }
  } finally {
    await stun.close();
  }
}
