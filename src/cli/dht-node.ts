import { startBootstrapNode } from '../rendezvous/hyperdht/node.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import type { HostPort } from '../util/host-port.js';
import { untilAborted } from '../util/sleep.js';
import type { Io } from './io.js';
import { serveMetrics } from './metrics.js';

export interface DhtNodeArgs {
  /** Address by which others reach this machine. */
  readonly listen: string;
  readonly port: number;
  /** Other nodes of the same network. */
  readonly bootstrap: readonly HostPort[];
  readonly metrics?: Endpoint;
}

/**
 * `awl dht-node`: a HyperDHT node that others can enter their own network by, until the signal aborts.
 * @throws AwlError UDP_BIND, USAGE_BAD_VALUE
 */
export async function runDhtNode(
  args: DhtNodeArgs,
  io: Pick<Io, 'stderr'>,
  signal: AbortSignal,
): Promise<number> {
  const node = await startBootstrapNode({ host: args.listen, port: args.port, bootstrap: args.bootstrap });
  try {
    const metrics = args.metrics && (await serveMetrics(args.metrics, () => nodeMetrics(node.metrics())));
    try {
      io.stderr(`DHT node ready: --dht-bootstrap=${formatEndpoint(node.endpoint)}\n`);
      if (metrics) io.stderr(`metrics on http://${formatEndpoint(metrics.endpoint)}/metrics\n`);
      await untilAborted(signal);
      return 0;
    } finally {
      await metrics?.close();
    }
  } finally {
    await node.close();
  }
}

/** Prometheus names and values of a node. */
export function nodeMetrics(values: {
  nodes: number;
  asked: number;
  unanswered: number;
}): Record<string, number> {
  return {
    awl_dht_nodes: values.nodes,
    awl_dht_requests_total: values.asked,
    awl_dht_requests_unanswered_total: values.unanswered,
  };
}
