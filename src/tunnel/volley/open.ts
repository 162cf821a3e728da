import type { RemoteInfo } from 'node:dgram';
import { MAPPING_REFRESH_MS } from '../../constants.js';
import { type Endpoint, familyOf } from '../../util/endpoint.js';
import { bindOffloaded, type OffloadedSocket } from '../../util/offload.js';
import type { TunnelKeys } from '../../wire/tunnel-keys.js';
import { framePacket, SEGMENT_BYTES, splitPackets } from '../../wire/volley.js';
import type { Carrier, DatagramPort } from '../carrier.js';
import { VOLLEY_QUEUE_BYTES, VOLLEY_SOCKET_BYTES } from './limits.js';
import { VolleyStream } from './stream.js';

/** What a kernel says of datagrams longer than the path's limit, cut by itself or not. */
const TOO_LONG = ['EMSGSIZE', 'EINVAL'];

export interface VolleyOptions {
  readonly local: Endpoint;
  readonly peer: Endpoint;
  readonly keys: TunnelKeys;
  /** Gives the punched port back. */
  readonly release: () => Promise<void>;
}

/**
 * The carrier over UDP where both sides' kernels cut and join datagrams: one system call sends what one encryption
 * sealed. Takes over the punched port as `openUdx` does; nothing is sent yet.
 * @throws AwlError UDP_BIND
 */
export async function openVolleys({ local, peer, keys, release }: VolleyOptions): Promise<Carrier> {
  const wire = new VolleyWire(await takeOver(local, release), local, peer);
  const stream = new VolleyStream(wire, keys);
  const listeners: ((data: Buffer) => void)[] = [];
  wire.listen((data) => {
    for (const packet of splitPackets(data)) {
      if (packet.kind === 'segment') stream.segment(packet.segment);
      else if (packet.kind === 'report') stream.report(packet.body);
      else for (const listener of listeners) listener(packet.body);
    }
  });
  wire.onRoom = () => stream.resume();
  const datagrams: DatagramPort = {
    send: (data) => wire.sendDatagram(framePacket('datagram', data)),
    subscribe: (listener) => void listeners.push(listener),
  };
  let kept = false;
  return {
    kind: 'udp',
    peer,
    stream,
    keys,
    sealed: true,
    datagrams,
    stats: () => stream.stats(),
    keepDatagrams: () => {
      kept = true;
      // Nothing else may pass here for hours now, and NATs forget (RFC 4787 REQ-5): a byte that every reader ignores.
      const refresh = setInterval(() => wire.sendDatagram(Buffer.of(0)), MAPPING_REFRESH_MS);
      return {
        ...datagrams,
        close: () => {
          clearInterval(refresh);
          return wire.close();
        },
      };
    },
    close: async () => {
      if (!kept) await wire.close();
    },
  };
}

async function takeOver(local: Endpoint, release: () => Promise<void>): Promise<OffloadedSocket> {
  const released = release();
  try {
    return bindOffloaded(local, VOLLEY_SOCKET_BYTES);
  } catch {
    await released;
    return bindOffloaded(local, VOLLEY_SOCKET_BYTES);
  } finally {
    await released;
  }
}

/** The punched port, to and from the peer's address alone. */
class VolleyWire {
  readonly #offloaded: OffloadedSocket;
  readonly #host: string;
  readonly #port: number;
  readonly room: number;
  /** The kernel takes more again. */
  onRoom: () => void = () => {};
  /** The path takes no datagram of SEGMENT_BYTES: they go in fragments, one by one. */
  #narrow = false;
  #closed: Promise<void> | undefined;

  constructor(offloaded: OffloadedSocket, local: Endpoint, peer: Endpoint) {
    this.#offloaded = offloaded;
    const mapped = familyOf(local) === 6 && familyOf(peer) === 4;
    this.#host = mapped ? `::ffff:${peer.address}` : peer.address;
    this.#port = peer.port;
    // Linux counts its own bookkeeping, and doubles what one asks for in return (socket(7)).
    this.room = offloaded.socket.getRecvBufferSize() / 2;
    offloaded.socket.on('error', () => {});
  }

  listen(listener: (data: Buffer) => void): void {
    const { socket } = this.#offloaded;
    const drain = this.#offloaded.drain({ address: this.#host, port: this.#port });
    let drained = false;
    const readOn = () => {
      drained = false;
      if (!this.#closed) drain.read(listener);
    };
    socket.on('message', (data: Buffer, { address, port }: RemoteInfo) => {
      if (port === this.#port && address === this.#host) listener(data);
      // Node hands over some twenty, one by one; what waits behind them is had for less.
      if (drained || this.#closed) return;
      drained = true;
      drain.read(listener);
      setImmediate(readOn);
    });
  }

  sendSegments(wire: Buffer): boolean {
    if (this.#closed) return false;
    const { socket } = this.#offloaded;
    if (this.#narrow) this.#sendSingly(wire);
    else this.#sendAtOnce(wire);
    return socket.getSendQueueSize() < VOLLEY_QUEUE_BYTES;
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

  #sendAtOnce(wire: Buffer): void {
    this.#offloaded.cut(SEGMENT_BYTES);
    this.#send(wire, (error) => {
      if (error && TOO_LONG.includes(error.code ?? '')) {
        this.#narrow = true;
        this.#offloaded.fragment();
      }
      this.onRoom();
    });
  }

  #sendSingly(wire: Buffer): void {
    this.#offloaded.cut(0);
    for (let at = 0; at < wire.length; at += SEGMENT_BYTES) {
      this.#send(wire.subarray(at, at + SEGMENT_BYTES), () => this.onRoom());
    }
  }

  #send(data: Buffer, sent: (error: NodeJS.ErrnoException | null) => void): void {
    this.#offloaded.socket.send(data, this.#port, this.#host, sent);
  }
}
