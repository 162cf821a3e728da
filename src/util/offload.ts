import { createSocket, type Socket } from 'node:dgram';
import { AwlError } from '../errors.js';
import { Drain } from './drain.js';
import { type Endpoint, familyOf, formatEndpoint } from './endpoint.js';
import { IPPROTO_IP, IPPROTO_IPV6, type Libc, libc, SOCK_CLOEXEC, SOCK_DGRAM } from './libc.js';
import { AF_INET, AF_INET6, socketAddress } from './socket-address.js';

/** Linux' numbers, the same on every machine that koffi has a build for (asm-generic, linux/in.h, linux/udp.h). */
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const IP_MTU_DISCOVER = 10;
const IPV6_MTU_DISCOVER = 23;
const PMTUDISC_DONT = 0;
const PMTUDISC_WANT = 1;
const PMTUDISC_DO = 2;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const UDP_GRO = 104;

/** A UDP socket whose kernel cuts one large datagram into many, and joins many that arrive into one (Linux 5.0). */
export interface OffloadedSocket {
  readonly socket: Socket;
  /** What is sent is cut into datagrams of this many bytes, the last one maybe shorter; 0 for not at all. */
  cut(bytes: number): void;
  /** What is longer than the path takes goes in fragments from now on, and is refused no more. */
  fragment(): void;
  /** Whether what is sent goes in one piece or not at all, as long as {@link fragment} was not called. */
  inOnePiece(yes: boolean): void;
  /** Reads faster than the socket's own events, as long as it is open. */
  drain(from: Endpoint): Drain;
}

let offered: boolean | undefined;

/** Whether this machine has such sockets: kernels and sandboxes that stand for one differ, and one socket tells. */
export function hasOffload(): boolean {
  offered ??= knowsOffload();
  return offered;
}

/**
 * Binds one, with kernel buffers of `bufferBytes` or what the system allows.
 * @throws AwlError UDP_BIND
 */
export function bindOffloaded(local: Endpoint, bufferBytes: number): OffloadedSocket {
  const calls = libc();
  if (!calls || !hasOffload()) throw new AwlError('UDP_BIND', 'this system cannot cut and join datagrams');
  const six = familyOf(local) === 6;
  const fd = calls.socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const option = (level: number, name: number, value: number) =>
    setOption(calls, fd, level, name, value) === 0;
  try {
    const address = socketAddress(local);
    if (fd < 0 || calls.bind(fd, address, address.length) !== 0) throw unbound(local, calls.errno());
    if (!option(SOL_UDP, UDP_GRO, 1)) throw unbound(local, calls.errno());
    // The first of each pair takes rights, and heeds no limit of the system.
    if (!option(SOL_SOCKET, SO_RCVBUFFORCE, bufferBytes)) option(SOL_SOCKET, SO_RCVBUF, bufferBytes);
    if (!option(SOL_SOCKET, SO_SNDBUFFORCE, bufferBytes)) option(SOL_SOCKET, SO_SNDBUF, bufferBytes);
    const socket = createSocket({
      type: six ? 'udp6' : 'udp4',
      lookup: (host, _options, done) => done(null, host, six ? 6 : 4),
    });
    socket.bind({ fd });
    let current = 0;
    const discover = (value: number) =>
      void (six
        ? option(IPPROTO_IPV6, IPV6_MTU_DISCOVER, value)
        : option(IPPROTO_IP, IP_MTU_DISCOVER, value));
    return {
      socket,
      cut(bytes) {
        if (bytes === current) return;
        current = bytes;
        option(SOL_UDP, UDP_SEGMENT, bytes);
      },
      fragment: () => discover(PMTUDISC_DONT),
      inOnePiece: (yes) => discover(yes ? PMTUDISC_DO : PMTUDISC_WANT),
      drain: (from) => new Drain(calls, fd, from),
    };
  } catch (error) {
    if (fd >= 0) calls.close(fd);
    throw error;
  }
}

/**
 * The same for a socket that somebody else has bound, and which does not know: what arrives joined, that one has to take
 * apart. Undefined where the system, or Node, has no way to it.
 */
export function offload(socket: Socket): { cut(bytes: number): boolean } | undefined {
  const calls = hasOffload() ? libc() : undefined;
  const fd = fileOf(socket);
  if (!calls || fd === undefined) return undefined;
  if (setOption(calls, fd, SOL_UDP, UDP_GRO, 1) !== 0) return undefined;
  return {
    // A number that was closed is somebody else's.
    cut: (bytes) => fileOf(socket) === fd && setOption(calls, fd, SOL_UDP, UDP_SEGMENT, bytes) === 0,
  };
}

/** Node shows it nowhere else. */
function fileOf(socket: Socket): number | undefined {
  const state = Object.getOwnPropertySymbols(socket).find((one) => one.description === 'state symbol');
  const inside = state && (socket as unknown as Record<symbol, { handle?: { fd?: unknown } | null }>)[state];
  const fd = inside?.handle?.fd;
  return typeof fd === 'number' && fd >= 0 ? fd : undefined;
}

function knowsOffload(): boolean {
  const calls = libc();
  const fd = calls?.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) ?? -1;
  if (!calls || fd < 0) return false;
  const options = [UDP_SEGMENT, UDP_GRO].every((name) => setOption(calls, fd, SOL_UDP, name, 1) === 0);
  calls.close(fd);
  return options;
}

function setOption(calls: Libc, fd: number, level: number, name: number, value: number): number {
  const bytes = Buffer.from(Int32Array.of(value).buffer);
  return calls.setsockopt(fd, level, name, bytes, bytes.length);
}

function unbound(local: Endpoint, errno: number): AwlError {
  return new AwlError('UDP_BIND', `cannot bind UDP ${formatEndpoint(local)}: error ${errno}`, {
    hint: 'another program took the port in the moment in which it was free; start the session again',
  });
}
