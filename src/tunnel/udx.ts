import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { isIP } from 'node:net';
import { MAPPING_REFRESH_MS } from '../constants.js';
import { AwlError, errorText } from '../errors.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import type { TunnelKeys } from '../wire/tunnel-keys.js';
import type { ByteStream, Carrier, DatagramPort } from './carrier.js';
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

export interface UdxOptions {
  readonly local: Endpoint;
  readonly peer: Endpoint;
  readonly keys: TunnelKeys;
  /** Gives the punched port back. */
  readonly release: () => Promise<void>;
}

/**
 * The carrier over UDP. Takes over the punched port: `release` gives it back, and in the same turn UDX has it, so
 * that nobody else can. The streams are connected; nothing is sent yet.
 * @throws AwlError UDP_BIND, TUNNEL_REFUSED
 */
export async function openUdx({ local, peer, keys, release }: UdxOptions): Promise<Carrier> {
  const udx = loadUdx();
  const socket = await takeOver(udx, local, release);
  const mapped = isIP(local.address) === 6 && isIP(peer.address) === 4;
  const host = mapped ? `::ffff:${peer.address}` : peer.address;
  socket.on('error', () => {});
  const stream = new UdxLanes(
    keys.receive.streamIds.map((id, lane) => {
      const one = udx.createStream(id);
      one.connect(socket, keys.send.streamIds[lane] ?? 0, peer.port, host);
      return one;
    }),
  );
  let closing = false;
  let kept = false;
  const datagrams: DatagramPort = {
    send: (data) => {
      if (!closing) socket.trySend(data, peer.port, host);
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
    datagrams,
    stats: () => stream.stats(),
    keepDatagrams: () => {
      kept = true;
      // Nothing else may pass here for hours now, and NATs forget (RFC 4787 REQ-5): a byte that every reader ignores.
      const refresh = setInterval(() => datagrams.send(Buffer.of(0)), MAPPING_REFRESH_MS);
      return {
        ...datagrams,
        close: () => {
          clearInterval(refresh);
          return close();
        },
      };
    },
    close: async () => {
      if (!kept) await close();
    },
  };
}

async function takeOver(udx: Udx, local: Endpoint, release: () => Promise<void>): Promise<UdxSocket> {
  const released = release();
  let socket = udx.createSocket();
  try {
    socket.bind(local.port, local.address);
  } catch {
    await released;
    socket = udx.createSocket();
    bindLate(socket, local);
  }
  await released;
  for (const size of ['setRecvBufferSize', 'setSendBufferSize'] as const) {
    try {
      socket[size](BUFFER_BYTES);
    } catch {
      // The limits of this system are lower; it works with what it gives.
    }
  }
  return socket;
}

function bindLate(socket: UdxSocket, local: Endpoint): void {
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
}
