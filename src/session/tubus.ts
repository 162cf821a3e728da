import { formatName } from '../identity/names.js';
import { silentLogger } from '../log.js';
import type { TunnelStats } from '../tunnel/stats.js';
import { runWormhole, type WormholeStats } from '../tunnel/wormhole/run.js';
import { formatEndpoint } from '../util/endpoint.js';
import { formatHostPort, type HostPort } from '../util/host-port.js';
import type { Passage } from './passage.js';
import type { SessionSettings } from './settings.js';

/** One end of a wormhole on the passage: what a plexus with the program wormhole as payload speaks. */
export interface TubusUse {
  /** The wire knows one service, which the exporting side names. */
  readonly purpose: 'export' | 'import';
  /** TCP: where the service is, or where to listen for clients. */
  readonly service: HostPort;
  /** With the session's secret, as `--obscure=%secret%` on the other side; without it datagrams go clear. */
  readonly masked: boolean;
}

/**
 * Runs one end of a wormhole over the punched socket until our signal, or until the other side ends it.
 * @returns 0
 * @throws AwlError TCP_BIND, HANDSHAKE_TIMEOUT, TUNNEL_LOST
 */
export async function runTubus(passage: Passage, use: TubusUse, settings: SessionSettings): Promise<number> {
  const { session, inner, alien, secret, socket } = passage;
  const log = (settings.log ?? silentLogger).child(session);
  const peer = formatName(passage.peer);
  log.warning(`tubus neither encrypts nor authenticates: let TLS or ssh run inside the tunnel to ${peer}`);
  const signal = settings.signal ?? new AbortController().signal;
  let read: () => WormholeStats = () => NOTHING;
  const unwatch = settings.board?.watch(session, () => statsOf(read()));
  try {
    await runWormhole({
      ...{ purpose: use.purpose, service: use.service, gateway: inner, faraway: alien, socket },
      secret: use.masked ? secret : 0n,
      log,
      signal,
      onReady: (port, stats) => {
        read = stats;
        const at = port === undefined ? [] : [formatHostPort({ host: use.service.host, port })];
        log.info(
          `tubus with ${peer} at ${formatEndpoint(alien)}: ${at[0] ? `listening on ${at[0]}` : 'exporting'}`,
        );
        settings.onEvent?.({ event: 'tunnel-open', session, imports: at, offered: [] });
      },
    });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    unwatch?.();
    await passage.close();
  }
  const { sent, received } = read();
  const reason = signal.aborted ? 'stopped' : 'the peer closed the tunnel';
  settings.onEvent?.({ event: 'tunnel-closed', session, reason, sent, received });
  return 0;
}

const NOTHING: WormholeStats = {
  sent: 0,
  received: 0,
  moves: 0,
  retransmitted: 0,
  rttMs: undefined,
  strangers: 0,
  beyond: 0,
  duplicates: 0,
  clients: { open: 0, opened: 0, refused: 0 },
};

/** In the words of the other tunnel, as far as tubus counts them. */
function statsOf({ sent, received, rttMs, ...more }: WormholeStats): TunnelStats {
  const { open, opened, refused } = more.clients;
  return {
    state: 'open',
    path: 'udp (tubus)',
    sent,
    received,
    ...(rttMs !== undefined && { rttMs }),
    ...{ packets: more.moves, repeated: more.retransmitted, bad: more.strangers + more.beyond },
    ...{ channels: open, opened, refused, reconnects: 0, moves: 0, kept: 0, strays: 0 },
    ...{ datagramsSent: 0, datagramsReceived: 0, badDatagrams: 0, replayedDatagrams: 0, tooLarge: 0 },
  };
}
