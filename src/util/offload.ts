import { createSocket, type Socket } from 'node:dgram';
import { createRequire } from 'node:module';
import { endianness, networkInterfaces } from 'node:os';
import { AwlError } from '../errors.js';
import { type Endpoint, familyOf, formatEndpoint } from './endpoint.js';
import { addressToBytes } from './ip-bytes.js';

/** Linux' numbers, the same on every machine that koffi has a build for (asm-generic, linux/in.h, linux/udp.h). */
const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const UDP_GRO = 104;

interface Libc {
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: Buffer, length: number): number;
  setsockopt(fd: number, level: number, option: number, value: Buffer, length: number): number;
  close(fd: number): number;
  errno(): number;
}

interface Koffi {
  load(path: null): { func(prototype: string): never };
  errno(): number;
}

/** A UDP socket whose kernel cuts one large datagram into many, and joins many that arrive into one (Linux 5.0). */
export interface OffloadedSocket {
  readonly socket: Socket;
  /** What is sent is cut into datagrams of this many bytes, the last one maybe shorter; 0 for not at all. */
  cut(bytes: number): void;
}

let libc: Libc | undefined | null;

/** Whether this machine has such sockets. */
export function hasOffload(): boolean {
  if (libc === undefined) libc = loadLibc() ?? null;
  return libc !== null;
}

/**
 * Binds one, with kernel buffers of `bufferBytes` or what the system allows.
 * @throws AwlError UDP_BIND
 */
export function bindOffloaded(local: Endpoint, bufferBytes: number): OffloadedSocket {
  if (!hasOffload() || !libc) throw new AwlError('UDP_BIND', 'this system cannot cut and join datagrams');
  const calls = libc;
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
    return {
      socket,
      cut(bytes) {
        if (bytes === current) return;
        current = bytes;
        option(SOL_UDP, UDP_SEGMENT, bytes);
      },
    };
  } catch (error) {
    if (fd >= 0) calls.close(fd);
    throw error;
  }
}

function loadLibc(): Libc | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as Koffi;
    const library = koffi.load(null);
    const calls: Libc = {
      socket: library.func('int socket(int, int, int)'),
      bind: library.func('int bind(int, void *, uint32_t)'),
      setsockopt: library.func('int setsockopt(int, int, int, void *, uint32_t)'),
      close: library.func('int close(int)'),
      errno: () => koffi.errno(),
    };
    return knowsOffload(calls) ? calls : undefined;
  } catch {
    // It has no build for this machine, or was left out when awl was installed.
    return undefined;
  }
}

/** Kernels and sandboxes that stand for one differ; one socket tells. */
function knowsOffload(calls: Libc): boolean {
  const fd = calls.socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const options = [UDP_SEGMENT, UDP_GRO].every((name) => setOption(calls, fd, SOL_UDP, name, 1) === 0);
  calls.close(fd);
  return options;
}

function setOption(calls: Libc, fd: number, level: number, name: number, value: number): number {
  const bytes = Buffer.from(Int32Array.of(value).buffer);
  return calls.setsockopt(fd, level, name, bytes, bytes.length);
}

/** sockaddr_in or sockaddr_in6: the family is the machine's, port and address the network's. */
function socketAddress({ address, port }: Endpoint): Buffer {
  const bytes = addressToBytes(address);
  const result = Buffer.alloc(bytes.length === 4 ? 16 : 28);
  const family = bytes.length === 4 ? AF_INET : AF_INET6;
  if (endianness() === 'LE') result.writeUInt16LE(family);
  else result.writeUInt16BE(family);
  result.writeUInt16BE(port, 2);
  result.set(bytes, bytes.length === 4 ? 4 : 8);
  const scope = bytes.length === 4 ? 0 : scopeOf(address);
  if (scope > 0) result.set(Buffer.from(Uint32Array.of(scope).buffer), 24);
  return result;
}

/** The number of a link-local address' interface. */
function scopeOf(address: string): number {
  const zone = address.split('%')[1];
  if (zone === undefined) return 0;
  const known = networkInterfaces()[zone]?.find((one) => one.family === 'IPv6' && one.scopeid !== 0);
  return known?.family === 'IPv6' ? known.scopeid : Number(zone) || 0;
}

function unbound(local: Endpoint, errno: number): AwlError {
  return new AwlError('UDP_BIND', `cannot bind UDP ${formatEndpoint(local)}: error ${errno}`, {
    hint: 'another program took the port in the moment in which it was free; start the session again',
  });
}
