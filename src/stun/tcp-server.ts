import { createServer, type Server, type Socket } from 'node:net';
import type { Endpoint } from '../util/endpoint.js';
import { StunStream } from '../wire/stun-stream.js';
import {
  STUN_TCP_CONNECTIONS,
  STUN_TCP_IDLE_MS,
  STUN_TCP_MESSAGE_BYTES,
  STUN_TCP_REQUESTS,
} from './tcp-limits.js';

/** What to answer to a message that came to `own` from `client`; undefined ends the connection. */
export type StunResponder = (message: Buffer, client: Endpoint, own: Endpoint) => Buffer | undefined;

/** STUN over TCP on one endpoint: few connections, each for a short time and a handful of requests. */
export class StunTcpListener {
  readonly local: Endpoint;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, local: Endpoint, respond: StunResponder) {
    this.local = local;
    this.#server = server;
    server.on('error', () => {});
    server.on('connection', (socket) => this.#serve(socket, respond));
  }

  /** Rejects with the system's error where the port cannot be had. */
  static listen(local: Endpoint, respond: StunResponder): Promise<StunTcpListener> {
    const server = createServer({ allowHalfOpen: false, noDelay: true });
    server.maxConnections = STUN_TCP_CONNECTIONS;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port: local.port, host: local.address, exclusive: true }, () => {
        server.removeListener('error', reject);
        resolve(new StunTcpListener(server, local, respond));
      });
    });
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: Socket, respond: StunResponder): void {
    this.#sockets.add(socket);
    const client = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    const stream = new StunStream(STUN_TCP_MESSAGE_BYTES);
    let left = STUN_TCP_REQUESTS;
    // Counts from the beginning: who sends a byte now and then stays no longer.
    const timer = setTimeout(() => socket.destroy(), STUN_TCP_IDLE_MS);
    socket.on('close', () => {
      clearTimeout(timer);
      this.#sockets.delete(socket);
    });
    socket.on('error', () => {});
    socket.on('data', (piece: Buffer) => {
      const messages = stream.take(piece);
      for (const message of messages ?? []) {
        const reply = left-- > 0 ? respond(message, client, this.local) : undefined;
        if (!reply) return void socket.destroy();
        socket.write(reply);
      }
      if (!messages) socket.destroy();
    });
  }
}
