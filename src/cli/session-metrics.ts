import type { ProcessStatus, SessionStatus, TunnelStatus } from '../session/status.js';
import { labelled, type Metrics } from './metrics.js';

/** What a tunnel counts, by metric; a name that ends in `_total` only rises. */
const TUNNEL: readonly (readonly [name: string, read: (tunnel: TunnelStatus) => number | undefined])[] = [
  ['awl_tunnel_sent_bytes_total', ({ sent }) => sent],
  ['awl_tunnel_received_bytes_total', ({ received }) => received],
  ['awl_tunnel_send_bytes_per_second', ({ sendRate }) => sendRate],
  ['awl_tunnel_receive_bytes_per_second', ({ receiveRate }) => receiveRate],
  ['awl_tunnel_rtt_seconds', ({ rttMs }) => (rttMs === undefined ? undefined : rttMs / 1000)],
  ['awl_tunnel_bad_packets', ({ bad }) => bad],
  ['awl_tunnel_loss_ratio', ({ loss }) => loss],
  ['awl_tunnel_channels', ({ channels }) => channels],
  ['awl_tunnel_channels_opened_total', ({ opened }) => opened],
  ['awl_tunnel_channels_refused_total', ({ refused }) => refused],
  ['awl_tunnel_reconnects_total', ({ reconnects }) => reconnects],
  ['awl_tunnel_moves_total', ({ moves }) => moves],
  ['awl_tunnel_unacknowledged_bytes', ({ kept }) => kept],
  ['awl_tunnel_datagram_max_bytes', ({ maxDatagram }) => maxDatagram],
  ['awl_tunnel_datagrams_too_large_total', ({ tooLarge }) => tooLarge],
  ['awl_tunnel_datagrams_sent_total', ({ datagramsSent }) => datagramsSent],
  ['awl_tunnel_datagrams_received_total', ({ datagramsReceived }) => datagramsReceived],
  ['awl_tunnel_datagrams_bad_total', ({ badDatagrams }) => badDatagrams],
  ['awl_tunnel_datagrams_replayed_total', ({ replayedDatagrams }) => replayedDatagrams],
];
const STATES: readonly SessionStatus['state'][] = [
  'inviting',
  'answering',
  'passage',
  'payload',
  'tunnel',
  'reconnecting',
];

/** What a session's process tells a scraper: its own counters, and one set of numbers for each tunnel. */
export function sessionMetrics(status: ProcessStatus): Metrics {
  const metrics: Record<string, number> = {
    awl_passages_total: status.passages,
    awl_session_failures_total: status.failures,
    awl_invitations_refused_total: status.refusals,
    awl_listening: status.listening.length,
  };
  for (const state of STATES) {
    metrics[labelled('awl_sessions', { state })] = status.sessions.filter(
      (one) => one.state === state,
    ).length;
  }
  for (const [name, read] of TUNNEL) {
    for (const session of status.sessions) {
      const value = session.tunnel && read(session.tunnel);
      if (value !== undefined) metrics[labelled(name, labelsOf(session))] = value;
    }
  }
  return metrics;
}

function labelsOf({ session, peer, transport, route, how }: SessionStatus): Record<string, string> {
  return { session, peer, ...(transport && { transport }), ...(route && { route }), ...(how && { how }) };
}
