import { createRequire } from 'node:module';
import { endianness } from 'node:os';

/** What we call of the C library itself: what Node has no way to. Pointers are numbers, as `address` gives them. */
export interface Libc {
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: Buffer, length: number): number;
  connect(fd: number, address: Buffer, length: number): number;
  getsockopt(fd: number, level: number, option: number, value: Buffer, length: Buffer): number;
  setsockopt(fd: number, level: number, option: number, value: Buffer, length: number): number;
  close(fd: number): number;
  recvmmsg(fd: number, messages: bigint, count: number, flags: number, timeout: number): number;
  errno(): number;
  /** Where a buffer's memory is; it stays there as long as somebody keeps the buffer. */
  address(buffer: Buffer): bigint;
}

/** Linux' numbers, the same on every machine that koffi has a build for (asm-generic/socket.h, linux/in.h, linux/in6.h). */
export const SOCK_DGRAM = 2;
export const SOCK_CLOEXEC = 0o2000000;
export const IPPROTO_IP = 0;
export const IPPROTO_TCP = 6;
export const IPPROTO_IPV6 = 41;

interface Koffi {
  load(path: null): Library;
  errno(): number;
  address(value: Buffer): bigint;
  sizeof(type: string): number;
}

/** Functions that this process has loaded, by their C prototypes. */
export interface Library {
  func(prototype: string): never;
}

let loaded: Libc | undefined | null;

/** Undefined on systems other than Linux, little-endian with pointers of 64 bits, and where koffi has no build or was left out. */
export function libc(): Libc | undefined {
  if (loaded === undefined) loaded = load() ?? null;
  return loaded ?? undefined;
}

/** What is linked into this process, on the same systems; @throws an Error on others. */
export function ownLibrary(): { readonly koffi: Koffi; readonly library: Library } {
  if (process.platform !== 'linux' || endianness() !== 'LE') throw new Error('no such system');
  const koffi = createRequire(import.meta.url)('koffi') as Koffi;
  if (koffi.sizeof('void *') !== 8) throw new Error('no such pointers');
  return { koffi, library: koffi.load(null) };
}

/** The value of a socket's option, `bytes` long; undefined where the kernel has it not, or not whole. */
export function socketOption(
  calls: Libc,
  fd: number,
  level: number,
  option: number,
  bytes: number,
): Buffer | undefined {
  const value = Buffer.alloc(bytes);
  const length = Buffer.from(Uint32Array.of(bytes).buffer);
  const known = calls.getsockopt(fd, level, option, value, length) === 0;
  return known && length.readUInt32LE() >= bytes ? value : undefined;
}

function load(): Libc | undefined {
  try {
    const { koffi, library } = ownLibrary();
    return {
      socket: library.func('int socket(int, int, int)'),
      bind: library.func('int bind(int, void *, uint32_t)'),
      connect: library.func('int connect(int, void *, uint32_t)'),
      getsockopt: library.func('int getsockopt(int, int, int, void *, void *)'),
      setsockopt: library.func('int setsockopt(int, int, int, void *, uint32_t)'),
      close: library.func('int close(int)'),
      recvmmsg: library.func('int recvmmsg(int, uintptr_t, uint32_t, int, uintptr_t)'),
      errno: () => koffi.errno(),
      address: (buffer) => koffi.address(buffer),
    };
  } catch {
    return undefined;
  }
}
