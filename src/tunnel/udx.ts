import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { isIP } from 'node:net';
import { AwlError, errorText } from '../errors.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';

/** What we use of a UDX socket; datagrams that are not UDX's come as `message`. */
export interface UdxSocket extends EventEmitter {
  bind(port: number, host: string): void;
  trySend(data: Uint8Array, port: number, host: string): void;
  setRecvBufferSize(bytes: number): void;
  setSendBufferSize(bytes: number): void;
  close(): Promise<void>;
}

/** What we use of a UDX stream: ordered bytes, `data`, `drain`, `end`, `close`, `error`. */
export interface UdxStream extends EventEmitter {
  connect(socket: UdxSocket, remoteId: number, port: number, host: string): void;
  /** False: wait for `drain`. */
  write(data: Uint8Array): boolean;
  end(): void;
  destroy(): void;
  readonly mtu: number;
  readonly rtt: number;
}

interface Udx {
  createSocket(): UdxSocket;
  createStream(id: number): UdxStream;
}

/** Socket and stream of one tunnel, and where they lead. */
export interface UdxPath {
  readonly socket: UdxSocket;
  readonly stream: UdxStream;
  readonly peer: Endpoint;
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
 * Takes over the punched port: `release` gives it back, and in the same turn UDX has it, so that nobody else can.
 * The stream is connected; nothing is sent yet.
 * @throws AwlError UDP_BIND, TUNNEL_REFUSED
 */
export async function openUdx(o: {
  readonly local: Endpoint;
  readonly peer: Endpoint;
  readonly ownId: number;
  readonly peerId: number;
  readonly release: () => Promise<void>;
}): Promise<UdxPath> {
  const udx = loadUdx();
  const released = o.release();
  let socket = udx.createSocket();
  try {
    socket.bind(o.local.port, o.local.address);
  } catch {
    await released;
    socket = udx.createSocket();
    bindLate(socket, o.local);
  }
  await released;
  for (const size of ['setRecvBufferSize', 'setSendBufferSize'] as const) {
    try {
      socket[size](BUFFER_BYTES);
    } catch {
      // The limits of this system are lower; it works with what it gives.
    }
  }
  const mapped = isIP(o.local.address) === 6 && isIP(o.peer.address) === 4;
  const peer = mapped ? { address: `::ffff:${o.peer.address}`, port: o.peer.port } : o.peer;
  const stream = udx.createStream(o.ownId);
  stream.connect(socket, o.peerId, peer.port, peer.address);
  return { socket, stream, peer };
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
