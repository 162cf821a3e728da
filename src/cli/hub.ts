import type { Logger } from '../log.js';
import { RelayServer, type RelayServerOptions } from '../relay/server.js';
import { startBootstrapNode } from '../rendezvous/hyperdht/node.js';
import type { HubStatus } from '../session/hub-status.js';
import { showStatus } from '../session/watching.js';
import { StunServer } from '../stun/server.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import type { HostPort } from '../util/host-port.js';
import { untilAborted } from '../util/sleep.js';
import { nodeMetrics } from './dht-node.js';
import type { Io } from './io.js';
import { labelled, type Metrics, serveMetrics } from './metrics.js';
import { countText } from './quantity.js';

export interface HubRelay extends Pick<RelayServerOptions, 'repo' | 'fingerprints'> {
  readonly port: number;
}

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
  /** Also forward for those who may. */
  readonly relay?: HubRelay;
  /** Where `awl status` finds it. */
  readonly stateDir?: string;
  readonly log?: Logger;
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
    let relay: RelayServer | undefined;
    try {
      relay = await startRelay(args, address);
      const read = () => ({
        ...nodeMetrics(node.metrics()),
        ...(relay && relayMetrics(relay)),
        awl_stun_answered_total: stun.stats.answered,
        awl_stun_ignored_total: stun.stats.ignored,
        awl_stun_limited_total: stun.stats.limited,
      });
      const metrics = args.metrics && (await serveMetrics(args.metrics, read));
      const begun = performance.now();
      const status = () =>
        statusOf({ stun, at: { address: host, port: stun.layout.port }, node, relay, begun });
      const { stateDir, log } = args;
      const shown = await showStatus(status, { ...(stateDir && { stateDir }), ...(log && { log }) });
      try {
        const server = formatEndpoint({ address: host, port: stun.layout.port });
        const dht = formatEndpoint(node.endpoint);
        const also = relay ? ` --relay-server=${formatEndpoint(relay.endpoint)}` : '';
        io.stderr(`hub ready: --stun-server=${server} --dht-bootstrap=${dht}${also}\n`);
        if (relay) io.stderr(`the relay serves ${countText(relay.allowed, 'identity', 'identities')}\n`);
        if (metrics) io.stderr(`metrics on http://${formatEndpoint(metrics.endpoint)}/metrics\n`);
        await untilAborted(signal);
        return 0;
      } finally {
        await Promise.all([metrics?.close(), shown.close()]);
      }
    } finally {
      await Promise.all([relay?.close(), node.close()]);
    }
  } finally {
    await stun.close();
  }
}

function startRelay(
  { relay, public: open, log }: HubArgs,
  address: string,
): Promise<RelayServer> | undefined {
  if (!relay) return undefined;
  const { port, ...who } = relay;
  return RelayServer.start({
    local: { address, port },
    ...who,
    ...(open !== undefined && { public: open }),
    ...(log && { log }),
  });
}

interface Parts {
  readonly stun: StunServer;
  /** Where others reach it. */
  readonly at: Endpoint;
  readonly node: Awaited<ReturnType<typeof startBootstrapNode>>;
  readonly relay: RelayServer | undefined;
  readonly begun: number;
}

function statusOf({ stun, at, node, relay, begun }: Parts): HubStatus {
  return {
    mode: 'hub',
    pid: process.pid,
    upMs: Math.round(performance.now() - begun),
    stun: { at: formatEndpoint(at), ...stun.stats },
    dht: { at: formatEndpoint(node.endpoint), ...node.metrics() },
    ...(relay && {
      relay: {
        at: formatEndpoint(relay.endpoint),
        allowed: relay.allowed,
        ...relay.stats,
        open: relay.open,
      },
    }),
  };
}

/** Names of a relay's numbers. */
function relayMetrics({ stats, open }: RelayServer): Metrics {
  const { sessions, waiting, refused, forwarded, bytes, dropped } = stats;
  const each: Record<string, number> = {};
  for (const { sides, bytes: own } of open) {
    const labels = Object.fromEntries(sides.map(({ role, who }) => [role, who]));
    const name = labelled('awl_relay_session_bytes', labels);
    // Two may have several sessions at once.
    each[name] = (each[name] ?? 0) + own;
  }
  return {
    ...each,
    awl_relay_sessions: sessions,
    awl_relay_waiting: waiting,
    awl_relay_refused_total: refused,
    awl_relay_forwarded_datagrams_total: forwarded,
    awl_relay_forwarded_bytes_total: bytes,
    awl_relay_dropped_total: dropped,
  };
}
