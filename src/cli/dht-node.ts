import { AwlError } from '../errors.js';
import { type BootstrapMetrics, startBootstrapNode } from '../rendezvous/hyperdht/node.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import type { HostPort } from '../util/host-port.js';
import { untilAborted } from '../util/sleep.js';
import type { Io } from './io.js';
import { type Metrics, serveMetrics } from './metrics.js';

export interface DhtNodeArgs {
  readonly listen: readonly string[];
  /** Address by which others reach this machine, where that is none of its own. */
  readonly public?: string;
  readonly port: number;
  /** Other nodes of the same network. */
  readonly bootstrap: readonly HostPort[];
  readonly metrics?: Endpoint;
}

/**
 * `awl dht-node`: a HyperDHT node that others can enter their own network by, until the signal aborts; one line on
 * standard error when it is ready.
 * @throws AwlError UDP_BIND, TCP_BIND, USAGE_BAD_VALUE
 */
export async function runDhtNode(
  args: DhtNodeArgs,
  io: Pick<Io, 'stderr'>,
  signal: AbortSignal,
): Promise<number> {
  const [address = '0.0.0.0', second] = args.listen;
  if (second !== undefined) {
    throw new AwlError('USAGE_BAD_VALUE', `a DHT node cannot serve on ${address} and ${second} at once`, {
      hint: 'leave one --listen out; awl hub takes two, for its STUN server',
    });
  }
  const host = args.public ?? address;
  const node = await startBootstrapNode({ host, port: args.port, bootstrap: args.bootstrap });
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

/** Names of a node's numbers. */
export function nodeMetrics({ nodes, asked, unanswered }: BootstrapMetrics): Metrics {
  return {
    awl_dht_nodes: nodes,
    awl_dht_requests_total: asked,
    awl_dht_requests_unanswered_total: unanswered,
  };
}
