import type { DaemonStatus } from '../../meepo/status.js';
import { labelled, type Metrics } from '../metrics.js';

const STATES = ['new', 'connecting', 'connected', 'disconnected', 'failed', 'closed'] as const;
const PORTALS = ['source', 'sink'] as const;

/** What a node tells a scraper; a name that ends in `_total` only rises. */
export function nodeMetrics(status: DaemonStatus): Metrics {
  const { signaling, transports, teleportations, mesh, proxy } = status;
  const metrics: Record<string, number> = {
    awl_meepo_connected_total: status.connected,
    awl_meepo_dialled_total: status.dialled,
    awl_meepo_refused_total: status.refused,
    awl_meepo_strays_total: status.strays,
    ...(mesh && {
      awl_meepo_mesh_relayed_total: mesh.relayed,
      awl_meepo_mesh_dropped_total: mesh.dropped,
    }),
  };
  for (const { name, ready, strays } of signaling) {
    metrics[labelled('awl_meepo_signaling_ready', { name })] = ready ? 1 : 0;
    metrics[labelled('awl_meepo_signaling_strays_total', { name })] = strays;
  }
  for (const state of STATES) {
    const count = transports.filter((one) => one.state === state).length;
    metrics[labelled('awl_meepo_transports', { state })] = count;
  }
  for (const { peerID, kind, channels } of transports) {
    if (kind) metrics[labelled('awl_meepo_transport_channels', { peer: peerID, kind })] = channels;
  }
  for (const portal of PORTALS) {
    const count = teleportations.filter((one) => one.portal === portal).length;
    metrics[labelled('awl_meepo_teleportations', { portal })] = count;
  }
  for (const { peer, name, portal, channels, connected, sent, received } of teleportations) {
    const labels = { peer, name, portal };
    metrics[labelled('awl_meepo_connections', labels)] = channels;
    metrics[labelled('awl_meepo_connections_total', labels)] = connected;
    metrics[labelled('awl_meepo_sent_bytes_total', labels)] = sent;
    metrics[labelled('awl_meepo_received_bytes_total', labels)] = received;
  }
  for (const [outcome, count] of Object.entries(proxy ?? {})) {
    metrics[labelled('awl_meepo_proxy_requests_total', { outcome })] = count;
  }
  return metrics;
}
