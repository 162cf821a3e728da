import { DatagramOpener, DatagramSealer, type TunnelDatagram } from '../wire/tunnel-datagram.js';
import type { Carrier } from './carrier.js';

/** The sealed datagrams of one carrier. Where it has none, `available` is false and sending does nothing. */
export class Datagrams {
  readonly available: boolean;
  readonly #carrier: Carrier;
  readonly #sealer: DatagramSealer;
  readonly #opener: DatagramOpener;
  #listener: ((datagram: TunnelDatagram) => void) | undefined;
  sent = 0;
  received = 0;

  constructor(carrier: Carrier) {
    this.#carrier = carrier;
    this.available = carrier.datagrams !== undefined;
    this.#sealer = new DatagramSealer(carrier.keys.send.datagram);
    this.#opener = new DatagramOpener(carrier.keys.receive.datagram);
    carrier.datagrams?.subscribe((data) => {
      if (!this.#listener) return;
      const datagram = this.#opener.open(data);
      if (!datagram) return;
      this.received += 1;
      this.#listener(datagram);
    });
  }

  get bad(): number {
    return this.#opener.bad;
  }

  get replayed(): number {
    return this.#opener.replayed;
  }

  /** Says who is told from now on. */
  listen(listener: ((datagram: TunnelDatagram) => void) | undefined): void {
    this.#listener = listener;
  }

  send(channel: number, payload: Uint8Array): void {
    this.sent += 1;
    this.#carrier.datagrams?.send(this.#sealer.seal(channel, payload));
  }
}
