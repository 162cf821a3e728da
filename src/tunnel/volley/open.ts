import type { RemoteInfo } from 'node:dgram';
import type { Take } from '../../util/drain.js';
import { asSeenFrom, type Endpoint, familyOf, sameEndpoint } from '../../util/endpoint.js';
import { bindOffloaded, type OffloadedSocket } from '../../util/offload.js';
import {
  framePacket,
  type PacketTaker,
  readPackets,
  SEGMENT_BYTES,
  SEGMENT_MAX_BYTES,
} from '../../wire/volley.js';
import type { Carrier, DatagramPort } from '../carrier.js';
import { keepable, type PunchedPort, takeOver } from '../punched-port.js';
import { VOLLEY_QUEUE_BYTES, VOLLEY_SOCKET_BYTES } from './limits.js';
import { VolleyStream } from './stream.js';

/** What a kernel says of datagrams longer than the path's limit, cut by itself or not. */
const TOO_LONG = ['EMSGSIZE', 'EINVAL'];
const IPV6_MORE_BYTES = 20;

/**
 * The carrier over UDP where both sides' kernels cut and join datagrams: one system call sends what one encryption
 * sealed. Takes over the punched port as `openUdx` does; nothing is sent yet.
 * @throws AwlError UDP_BIND
 */
export async function openVolleys({ local, peer, keys, release }: PunchedPort): Promise<Carrier> {
  const wire = new VolleyWire(
    await takeOver(release, () => bindOffloaded(local, VOLLEY_SOCKET_BYTES)),
    asSeenFrom(local, peer),
  );
  const stream = new VolleyStream(wire, keys);
  const listeners: ((data: Buffer) => void)[] = [];
  const taker: PacketTaker = {
    segment: (segment) => stream.segment(segment),
    report: (body) => stream.report(body),
    datagram: (body) => {
      for (const listener of listeners) listener(body);
    },
  };
  wire.listen(
    (data, from, to) => readPackets(data, taker, from, to),
    () => stream.settle(),
  );
  wire.onRoom = () => stream.resume();
  wire.onNarrow = () => stream.narrow();
  const datagrams: DatagramPort = {
    send: (data) => wire.sendDatagram(framePacket('datagram', data)),
    subscribe: (listener) => void listeners.push(listener),
  };
  return {
    kind: 'udp',
    peer,
    stream,
    keys,
    sealed: true,
    stats: () => stream.stats(),
    ...keepable(
      datagrams,
      (packet) => wire.sendDatagram(packet),
      () => wire.close(),
    ),
  };
}

/** The punched port, to and from the peer's address alone. */
class VolleyWire {
  readonly #offloaded: OffloadedSocket;
  readonly #peer: Endpoint;
  readonly room: number;
  /** The kernel takes more again, which it did not before. */
  onRoom: () => void = () => {};
  /** The kernel refuses segments for they are too wide, which it did not before. */
  onNarrow: () => void = () => {};
  readonly widest: number;
  /** The path takes no datagram of SEGMENT_BYTES: they go in fragments, one by one. */
  #narrow = false;
  #full = false;
  #closed: Promise<void> | undefined;

  constructor(offloaded: OffloadedSocket, peer: Endpoint) {
    this.#offloaded = offloaded;
    this.#peer = peer;
    this.widest = familyOf(peer) === 6 ? SEGMENT_MAX_BYTES - IPV6_MORE_BYTES : SEGMENT_MAX_BYTES;
    // Linux counts its own bookkeeping, and doubles what one asks for in return (socket(7)).
    this.room = offloaded.socket.getRecvBufferSize() / 2;
    offloaded.socket.on('error', () => {});
  }

  /** Hands over what arrives, and calls `settle` behind what came at once. */
  listen(listener: Take, settle: () => void): void {
    const { socket } = this.#offloaded;
    const drain = this.#offloaded.drain(this.#peer);
    let drained = false;
    const read = (): number => {
      const messages = this.#closed ? 0 : drain.read(listener);
      settle();
      return messages;
    };
    const readOn = () => {
      drained = false;
      read();
    };
    socket.on('message', (data: Buffer, from: RemoteInfo) => {
      if (sameEndpoint(from, this.#peer)) listener(data, 0, data.length);
      // Node hands over some twenty, one by one; what waits behind them is had for less.
      if (drained || this.#closed) return settle();
      drained = read() > 0;
      if (drained) setImmediate(readOn);
    });
  }

  sendSegments(wire: Buffer, width: number): boolean {
    if (this.#closed) return false;
    const { socket } = this.#offloaded;
    if (this.#narrow) this.#sendSingly(wire, width);
    else this.#sendAtOnce(wire, width);
    this.#full = socket.getSendQueueSize() >= VOLLEY_QUEUE_BYTES;
    return !this.#full;
  }

  sendProbe(sealed: Buffer): void {
    if (this.#closed || this.#narrow) return;
    this.#offloaded.cut(0);
    this.#offloaded.inOnePiece(true);
    this.#send(framePacket('probe', sealed), () => {});
    this.#offloaded.inOnePiece(false);
  }

  sendReport(sealed: Buffer): void {
    this.sendDatagram(framePacket('report', sealed));
  }

  sendDatagram(packet: Buffer): void {
    if (this.#closed) return;
    // Longer than a segment: it would be cut. What the kernel does not take at once may be, and is lost then.
    if (packet.length > SEGMENT_BYTES) this.#offloaded.cut(0);
    this.#send(packet, () => {});
  }

  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => this.#offloaded.socket.close(() => resolve()));
    return this.#closed;
  }

  #sendAtOnce(wire: Buffer, width: number): void {
    this.#offloaded.cut(width);
    this.#send(wire, (error) => {
      if (error && TOO_LONG.includes(error.code ?? '')) {
        if (width > SEGMENT_BYTES) this.onNarrow();
        else {
          this.#narrow = true;
          this.#offloaded.fragment();
        }
      }
      this.#sent();
    });
  }

  #sendSingly(wire: Buffer, width: number): void {
    this.#offloaded.cut(0);
    for (let at = 0; at < wire.length; at += width) {
      this.#send(wire.subarray(at, at + width), () => this.#sent());
    }
  }

  #sent(): void {
    if (!this.#full || this.#offloaded.socket.getSendQueueSize() >= VOLLEY_QUEUE_BYTES) return;
    this.#full = false;
    this.onRoom();
  }

  #send(data: Buffer, sent: (error: NodeJS.ErrnoException | null) => void): void {
    this.#offloaded.socket.send(data, this.#peer.port, this.#peer.address, sent);
  }
}
