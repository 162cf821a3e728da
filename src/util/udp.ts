import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import { AwlError, errorText } from '../errors.js';
import { type Endpoint, formatEndpoint } from './endpoint.js';

export type DatagramListener = (data: Buffer, from: Endpoint) => void;

/**
 * One bound, unconnected UDP socket that STUN, puncher and tunnel share: whoever subscribes sees every datagram.
 * A punched mapping belongs to the local port, so everything must leave through this one socket.
 */
export class UdpSocket {
  readonly local: Endpoint;
  readonly #socket: Socket;
  readonly #listeners = new Set<DatagramListener>();
  #ttl = 64;
  #closed: Promise<void> | undefined;

  private constructor(socket: Socket, local: Endpoint) {
    this.#socket = socket;
    this.local = local;
    socket.on('message', (data: Buffer, info: RemoteInfo) => {
      const from = { address: info.address, port: info.port };
      for (const listener of [...this.#listeners]) listener(data, from);
    });
    // ICMP errors surface here on some systems; a datagram socket outlives them.
    socket.on('error', () => {});
  }

  /**
   * Binds to `local`; port 0 lets the kernel choose, and {@link local} then says which. With `ipv6Only` another
   * socket may have the same port for IPv4.
   * @throws AwlError UDP_BIND when the address or port cannot be had
   */
  static bind(local: Endpoint, options: { readonly ipv6Only?: boolean } = {}): Promise<UdpSocket> {
    const type = isIP(local.address) === 6 ? 'udp6' : 'udp4';
    const family = type === 'udp6' ? 6 : 4;
    const socket = createSocket({
      type,
      ...options,
      // The default lookup is asynchronous even for literal addresses; a synchronous one keeps setTTL and send together.
      lookup: (host, _options, done) => done(null, host, family),
    });
    return new Promise((resolve, reject) => {
      socket.once('error', (error) => {
        socket.close();
        reject(
          new AwlError('UDP_BIND', `cannot bind UDP ${formatEndpoint(local)}: ${errorText(error)}`, {
            hint: 'choose a free port or an address of this machine with --stun-client',
            cause: error,
          }),
        );
      });
      socket.bind(local.port, local.address, () => {
        socket.removeAllListeners('error');
        resolve(new UdpSocket(socket, { address: local.address, port: socket.address().port }));
      });
    });
  }

  /** Calls `listener` for every datagram until the returned function is called. */
  subscribe(listener: DatagramListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Sends one datagram, with an IP TTL of its own if given. Resolves to whether the kernel took it; never rejects. */
  send(data: Uint8Array, to: Endpoint, ttl = 64): Promise<boolean> {
    if (this.#closed) return Promise.resolve(false);
    return new Promise((resolve) => {
      try {
        if (ttl !== this.#ttl) this.#socket.setTTL(ttl);
        this.#ttl = ttl;
        this.#socket.send(data, to.port, to.address, (error) => resolve(!error));
      } catch {
        resolve(false);
      }
    });
  }

  get closed(): boolean {
    return this.#closed !== undefined;
  }

  /** Closes the socket; resolves when the port is given back. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#listeners.clear();
      this.#socket.close(() => resolve());
    });
    return this.#closed;
  }
}
