import type { Endpoint } from './endpoint.js';
import type { Libc } from './libc.js';
import { SOCKET_ADDRESS_BYTES, sameSocketAddress, socketAddress } from './socket-address.js';

/** Read with one call; and so many calls or bytes in a row: then others have their turn. */
const MESSAGES = 16;
const TURNS = 16;
const TURN_BYTES = 512 * 1024;
/** What a kernel joins at most. */
const MESSAGE_BYTES = 65_536;
const MSG_DONTWAIT = 0x40;
/** struct mmsghdr and struct iovec with pointers of 64 bits (sys/socket.h); and room for an address, aligned. */
const HEADER_BYTES = 64;
const HEADER_WORDS = HEADER_BYTES / 4;
const NAME_LENGTH_WORD = 8 / 4;
const LENGTH_WORD = 56 / 4;
const VECTOR_BYTES = 16;
const NAME_BYTES = 32;

/** One for the process: nobody keeps what is in it, and there is one thread. */
interface Arena {
  readonly headers: Buffer;
  /** The same by fours: every machine that `libc` knows is little-endian. */
  readonly words: Uint32Array;
  readonly headersAt: bigint;
  readonly names: readonly Buffer[];
  /** Only the kernel looks at these, and nobody may free them. */
  readonly vectors: Buffer;
  readonly bytes: Buffer;
}

/** Takes a datagram: `data` from `from` to `to`, which is good until it returns. */
export type Take = (data: Buffer, from: number, to: number) => void;

let shared: Arena | undefined;

/**
 * Reads what waits at a socket, many datagrams with one system call and no garbage: a datagram that Node hands over
 * costs five times as much. What comes from another address than `from` is dropped.
 */
export class Drain {
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #from: Buffer;

  constructor(libc: Libc, fd: number, from: Endpoint) {
    this.#libc = libc;
    this.#fd = fd;
    this.#from = socketAddress(from);
  }

  /** Yields how many there were. */
  read(take: Take): number {
    shared ??= makeArena(this.#libc);
    const { words, headersAt, names, bytes } = shared;
    let total = 0;
    let messages = 0;
    for (let turn = 0; turn < TURNS && total < TURN_BYTES; turn++) {
      // What the last call wrote there is the length of the addresses that it met.
      for (let i = 0; i < MESSAGES; i++) words[i * HEADER_WORDS + NAME_LENGTH_WORD] = SOCKET_ADDRESS_BYTES;
      const count = this.#libc.recvmmsg(this.#fd, headersAt, MESSAGES, MSG_DONTWAIT, 0);
      messages += Math.max(0, count);
      for (let i = 0; i < count; i++) {
        const length = words[i * HEADER_WORDS + LENGTH_WORD] as number;
        total += length;
        if (!sameSocketAddress(this.#from, names[i] as Buffer)) continue;
        take(bytes, i * MESSAGE_BYTES, i * MESSAGE_BYTES + length);
      }
      if (count < MESSAGES) break;
    }
    return messages;
  }
}

function makeArena(libc: Libc): Arena {
  const bytes = Buffer.allocUnsafeSlow(MESSAGES * MESSAGE_BYTES);
  const names = Buffer.alloc(MESSAGES * NAME_BYTES);
  const vectors = Buffer.alloc(MESSAGES * VECTOR_BYTES);
  const words = new Uint32Array(MESSAGES * HEADER_WORDS);
  const headers = Buffer.from(words.buffer);
  const [bytesAt, namesAt, vectorsAt] = [bytes, names, vectors].map((buffer) => libc.address(buffer));
  for (let i = 0; i < MESSAGES; i++) {
    const vector = i * VECTOR_BYTES;
    vectors.writeBigUInt64LE((bytesAt ?? 0n) + BigInt(i * MESSAGE_BYTES), vector);
    vectors.writeBigUInt64LE(BigInt(MESSAGE_BYTES), vector + 8);
    const header = i * HEADER_BYTES;
    headers.writeBigUInt64LE((namesAt ?? 0n) + BigInt(i * NAME_BYTES), header);
    headers.writeBigUInt64LE((vectorsAt ?? 0n) + BigInt(vector), header + 16);
    headers.writeBigUInt64LE(1n, header + 24);
  }
  return {
    headers,
    words,
    headersAt: libc.address(headers),
    names: Array.from({ length: MESSAGES }, (_, i) => names.subarray(i * NAME_BYTES, (i + 1) * NAME_BYTES)),
    vectors,
    bytes,
  };
}
