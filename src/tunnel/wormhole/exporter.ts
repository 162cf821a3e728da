import { connect } from 'node:net';
import type { Logger } from '../../log.js';
import { formatHostPort, type HostPort } from '../../util/host-port.js';
import { WORMHOLE_TCP_CONNECT_MS } from '../../wire/tubus-constants.js';
import { type ClientCounts, WormholeMux, type WormholeStream } from './mux.js';

/** The exporting end: opens a TCP connection to the one service for each client of the importer, until the tunnel ends. */
export async function exportService(
  connection: WormholeStream,
  service: HostPort,
  log: Logger,
  clientsMax?: number,
  counts?: ClientCounts,
): Promise<void> {
  let nextId = 0;
  const open = (id: number) => {
    // Ids come one by one (spec plexus h.2); an empty frame for any other is a second close of a client that is over.
    if (id !== nextId) return;
    nextId = (id + 1) >>> 0;
    if (mux.isFull) {
      mux.counts.refused += 1;
      log.warning('too many clients at once: one was refused');
      void mux.sendClose(id).catch(() => {});
      return;
    }
    const socket = connect({ host: service.host, port: service.port, allowHalfOpen: true });
    const limit = setTimeout(() => {
      log.warning(`the service ${formatHostPort(service)} did not answer a client within 30 s`);
      socket.destroy();
    }, WORMHOLE_TCP_CONNECT_MS);
    socket.once('connect', () => clearTimeout(limit));
    socket.once('close', () => clearTimeout(limit));
    socket.once('error', (error) => {
      if (socket.bytesRead + socket.bytesWritten === 0) {
        log.warning(`the service ${formatHostPort(service)} refused a client: ${error.message}`);
      }
    });
    mux.add(id, socket);
  };
  const mux = new WormholeMux(connection, log, open, clientsMax, counts);
  await mux.run();
}
