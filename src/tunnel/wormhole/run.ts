import { AwlError } from '../../errors.js';
import type { Logger } from '../../log.js';
import { type Endpoint, formatEndpoint } from '../../util/endpoint.js';
import { formatHostPort, type HostPort } from '../../util/host-port.js';
import { UdpSocket } from '../../util/udp.js';
import { WORMHOLE_FLUSH_MS } from '../../wire/tubus-constants.js';
import { describeEnd, TubusConnection } from '../tubus/connection.js';
import type { TubusLimits } from '../tubus/limits.js';
import type { TubusStats } from '../tubus/types.js';
import { exportService } from './exporter.js';
import { WormholeImporter } from './importer.js';
import { type ClientCounts, noClients } from './mux.js';

export interface WormholeSettings {
  readonly purpose: 'export' | 'import';
  /** TCP: where the service is, or where to listen for clients. */
  readonly service: HostPort;
  /** Own UDP address, and the other side's as seen from here. */
  readonly gateway: Endpoint;
  readonly faraway: Endpoint;
  /** Bound already and the caller's to close; otherwise `gateway` is bound. */
  readonly socket?: UdpSocket;
  readonly secret: bigint;
  readonly limits?: TubusLimits;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** The link is there, and clients are served. */
  readonly onReady?: (tcpPort: number | undefined, stats: () => WormholeStats) => void;
}

/** What is counted of one wormhole. */
export type WormholeStats = TubusStats & { readonly clients: Readonly<ClientCounts> };

/**
 * One wormhole from start to end (spec plexus h.2). Resolves when the signal aborts or the other side closes it.
 * @throws AwlError TCP_BIND, UDP_BIND, HANDSHAKE_TIMEOUT, TUNNEL_LOST, the signal's reason while it links
 */
export async function runWormhole(settings: WormholeSettings): Promise<void> {
  const { purpose, service, gateway, faraway, log, signal } = settings;
  const importer = purpose === 'import' ? await WormholeImporter.listen(service, log) : undefined;
  let { socket } = settings;
  try {
    socket ??= await UdpSocket.bind(gateway);
    log.info(
      `${purpose} ${formatHostPort(service)} by ${formatEndpoint(socket.local)}, waits for ${formatEndpoint(faraway)}`,
    );
    const connection = await TubusConnection.open({
      socket,
      peer: faraway,
      role: importer ? 'connect' : 'accept',
      secret: settings.secret,
      ...(settings.limits && { limits: settings.limits }),
      log,
      signal,
    });
    log.info('linked');
    const clients = noClients();
    settings.onReady?.(importer?.port, () => ({ ...connection.stats, clients }));
    const stop = () => void connection.close(WORMHOLE_FLUSH_MS);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    try {
      await (importer
        ? importer.serve(connection, clients)
        : exportService(connection, service, log, undefined, clients));
    } finally {
      signal.removeEventListener('abort', stop);
    }
    await finish(connection, log);
  } finally {
    importer?.close();
    if (!settings.socket) await socket?.close();
  }
}

async function finish(connection: TubusConnection, log: Logger): Promise<void> {
  const end = await connection.ended;
  const { sent, received, retransmitted, ignored, strangers, beyond } = connection.stats;
  log.info(`${describeEnd(end)}: ${sent} bytes sent, ${received} received`);
  log.debug(
    `${retransmitted} moves repeated; ignored: ${ignored} datagrams, ${strangers} packets, ${beyond} moves`,
  );
  if (end === 'silent' || end === 'broken') {
    throw new AwlError('TUNNEL_LOST', describeEnd(end), {
      hint: 'its program ended without a word, or the path between the two is gone',
    });
  }
}
