import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { AwlError, errorText } from '../errors.js';
import { asSeenFrom, type Endpoint, formatEndpoint } from '../util/endpoint.js';
import type { ByteStream, Carrier, DatagramPort } from './carrier.js';
import { keepable, type PunchedPort, takeOver } from './punched-port.js';
import { UdxLanes } from './udx-lanes.js';

/** What we use of a UDX socket; datagrams that are not UDX's come as `message`. */
interface UdxSocket extends EventEmitter {
  bind(port: number, host: string): void;
  trySend(data: Uint8Array, port: number, host: string): void;
  setRecvBufferSize(bytes: number): void;
  setSendBufferSize(bytes: number): void;
  close(): Promise<void>;
}

/** What we use of a UDX stream. */
export interface UdxStream extends ByteStream {
  connect(socket: UdxSocket, remoteId: number, port: number, host: string): void;
  readonly rtt: number;
  /** Modulo 2^16. */
  readonly retransmits: number;
  readonly packetsTransmitted: number;
  /** Bytes sent and not acknowledged. */
  readonly inflight: number;
  /** 0 starting, 1 draining, 2 steady, 3 measuring the round trip; and the bandwidth it found, bytes a second. */
  readonly bbrState: number;
  readonly bbrBandwidth: number;
}

interface Udx {
  createSocket(): UdxSocket;
  createStream(id: number): UdxStream;
}

const requireModule: (id: string) => unknown = createRequire(import.meta.url);
/** The kernel's default holds 0.2 s at 8 Mbit/s; what it refuses is not worth a word. */
const BUFFER_BYTES = 4 * 1024 * 1024;

function loadUdx(): Udx {
  try {
    const library = requireModule('udx-native') as new () => Udx;
    return new library();
  } catch (cause) {
    throw new AwlError(
      'TUNNEL_REFUSED',
      `UDX, which carries the tunnel, cannot be loaded: ${errorText(cause)}`,
      {
        hint: `its native part may lack a build for ${process.platform} ${process.arch}; use --exec-command instead`,
        cause,
      },
    );
  }
}

/**
 * The carrier over UDP. Takes over the punched port: `release` gives it back, and in the same turn UDX has it, so
 * that nobody else can. The streams are connected; nothing is sent yet.
 * @throws AwlError UDP_BIND, TUNNEL_REFUSED
 */
export async function openUdx({ local, peer, keys, release }: PunchedPort): Promise<Carrier> {
  const udx = loadUdx();
  const socket = await takeOver(release, () => bindSocket(udx, local));
  const { port, address } = asSeenFrom(local, peer);
  socket.on('error', () => {});
  const stream = new UdxLanes(
    keys.receive.streamIds.map((id, lane) => {
      const one = udx.createStream(id);
      one.connect(socket, keys.send.streamIds[lane] ?? 0, port, address);
      return one;
    }),
  );
  let closing = false;
  const datagrams: DatagramPort = {
    send: (data) => {
      if (!closing) socket.trySend(data, port, address);
    },
    subscribe: (listener) => void socket.on('message', listener),
  };
  const close = async () => {
    if (closing) return;
    closing = true;
    await socket.close();
  };
  return {
    kind: 'udp',
    peer,
    stream,
    keys,
    stats: () => stream.stats(),
    ...keepable(datagrams, datagrams.send, close),
  };
}

/** @throws AwlError UDP_BIND */
function bindSocket(udx: Udx, local: Endpoint): UdxSocket {
  const socket = udx.createSocket();
  try {
    socket.bind(local.port, local.address);
  } catch (cause) {
    throw new AwlError(
      'UDP_BIND',
      `the punched port ${formatEndpoint(local)} is taken: ${errorText(cause)}`,
      {
        hint: 'another program took it in the moment in which it was free; start the session again',
        cause,
      },
    );
  }
  for (const size of ['setRecvBufferSize', 'setSendBufferSize'] as const) {
    try {
      socket[size](BUFFER_BYTES);
    } catch {
      // The limits of this system are lower; it works with what it gives.
    }
  }
  return socket;
}
