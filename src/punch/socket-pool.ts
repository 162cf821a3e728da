import { asSeenFrom, type Endpoint } from '../util/endpoint.js';
import { type DatagramListener, UdpSocket } from '../util/udp.js';

export type PoolListener = (socket: number, data: Buffer, from: Endpoint) => void;

/**
 * The numbered sockets of one punch. Those it was given are others' to close, but for the fresh ones; what a spread needs
 * is opened by its first datagram, on a port of the kernel's choice, and closed at the end unless it won.
 */
export class SocketPool {
  readonly #given: ReadonlyMap<number, UdpSocket>;
  readonly #opened = new Map<number, Promise<UdpSocket | undefined>>();
  readonly #bind: Endpoint;
  readonly #onDatagram: PoolListener;
  readonly #unsubscribe: (() => void)[] = [];
  #ended = false;

  constructor(given: ReadonlyMap<number, UdpSocket>, bindAddress: string, onDatagram: PoolListener) {
    this.#given = given;
    this.#bind = { address: bindAddress, port: 0 };
    this.#onDatagram = onDatagram;
    for (const [number, socket] of given) this.#listen(number, socket);
  }

  /** Sends from a socket, which is opened if need be; what the kernel refuses is lost, as on the way. */
  async send(number: number, data: Uint8Array, to: Endpoint, ttl?: number): Promise<void> {
    const given = this.#given.get(number);
    // In the same turn where the socket is there: order and TTL of datagrams stay those of the plan.
    if (given) return void given.send(data, asSeenFrom(given.local, to), ttl);
    const socket = await this.#open(number);
    await socket?.send(data, asSeenFrom(socket.local, to), ttl);
  }

  /** The socket of that number, to be kept: it is no longer closed with the pool. */
  async keep(number: number): Promise<UdpSocket | undefined> {
    const socket = this.#given.get(number) ?? (await this.#opened.get(number));
    this.#opened.delete(number);
    return socket;
  }

  /** Stops listening, and closes what it opened but for what was kept. */
  async end(): Promise<void> {
    this.#ended = true;
    for (const stop of this.#unsubscribe.splice(0)) stop();
    const opened = await Promise.all(this.#opened.values());
    this.#opened.clear();
    await Promise.all(opened.map((socket) => socket?.close()));
  }

  #open(number: number): Promise<UdpSocket | undefined> {
    let opening = this.#opened.get(number);
    if (!opening) {
      opening = this.#ended
        ? Promise.resolve(undefined)
        : UdpSocket.bind(this.#bind).then(
            (socket) => {
              if (!this.#ended) this.#listen(number, socket);
              return socket;
            },
            // Out of descriptors, say: fewer sockets are a smaller chance, and no reason to end.
            () => undefined,
          );
      this.#opened.set(number, opening);
    }
    return opening;
  }

  #listen(number: number, socket: UdpSocket): void {
    const listener: DatagramListener = (data, from) => this.#onDatagram(number, data, from);
    this.#unsubscribe.push(socket.subscribe(listener));
  }
}
