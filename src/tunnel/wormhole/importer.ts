import { createServer, type Server, type Socket } from 'node:net';
import { AwlError, errorText } from '../../errors.js';
import type { Logger } from '../../log.js';
import { formatHostPort, type HostPort } from '../../util/host-port.js';
import { WORMHOLE_CLIENTS_MAX } from '../../wire/tubus-constants.js';
import { type ClientCounts, WormholeMux, type WormholeStream } from './mux.js';

/** The importing end: a TCP listener whose clients reach the service of the other side. */
export class WormholeImporter {
  readonly #server: Server;
  readonly #log: Logger;
  /** Clients that came before the tunnel was there. */
  #early: Socket[] = [];
  #mux: WormholeMux | undefined;
  #nextId = 0;

  private constructor(server: Server, log: Logger) {
    this.#server = server;
    this.#log = log;
    server.on('connection', (socket) => this.#accept(socket));
  }

  /** @throws AwlError TCP_BIND */
  static listen(at: HostPort, log: Logger): Promise<WormholeImporter> {
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
    return new Promise((resolve, reject) => {
      server.once('error', (error) => {
        reject(
          new AwlError('TCP_BIND', `cannot listen on TCP ${formatHostPort(at)}: ${errorText(error)}`, {
            hint: 'choose a free port or an address of this machine with --service',
            cause: error,
          }),
        );
      });
      server.listen({ host: at.host, port: at.port, backlog: 1024 }, () => {
        server.removeAllListeners('error');
        server.on('error', (error) => log.warning(`TCP listener: ${errorText(error)}`));
        resolve(new WormholeImporter(server, log));
      });
    });
  }

  /** The TCP port listened on. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** Serves until the tunnel ends and every client has what arrived for it. */
  async serve(connection: WormholeStream, counts?: ClientCounts): Promise<void> {
    const mux = new WormholeMux(connection, this.#log, undefined, undefined, counts);
    this.#mux = mux;
    for (const socket of this.#early.splice(0)) this.#open(socket, mux);
    try {
      await mux.run();
    } finally {
      this.close();
    }
  }

  #accept(socket: Socket): void {
    if (this.#mux) {
      this.#open(socket, this.#mux);
      return;
    }
    socket.on('error', () => {});
    if (this.#early.length < WORMHOLE_CLIENTS_MAX) this.#early.push(socket);
    else socket.destroy();
  }

  #open(socket: Socket, mux: WormholeMux): void {
    if (mux.isFull) {
      mux.counts.refused += 1;
      this.#log.warning(`more than ${WORMHOLE_CLIENTS_MAX} clients at once: one was refused`);
      socket.destroy();
      return;
    }
    const id = this.#nextId;
    this.#nextId = (id + 1) >>> 0;
    void mux.sendOpen(id).catch(() => {});
    mux.add(id, socket);
  }

  /** Stops listening; clients that the tunnel has go on. */
  close(): void {
    this.#server.close();
    for (const socket of this.#early.splice(0)) socket.destroy();
  }
}
