import type { Socket } from 'node:net';
import { IPPROTO_TCP, libc, socketOption } from './libc.js';

/** linux/tcp.h. */
const TCP_INFO = 11;
/** struct tcp_info: microseconds, segments that were sent again, and segments with data (Linux 4.6). */
const RTT_AT = 68;
const TOTAL_RETRANS_AT = 100;
const DATA_SEGS_OUT_AT = 156;
const INFO_BYTES = 160;

/** What the kernel counts of a TCP connection. */
export interface TcpInfo {
  readonly rttMs: number;
  /** Segments with data, repetitions too; and how many of them were repetitions. */
  readonly packets: number;
  readonly repeated: number;
}

/** Undefined for a socket that is closed, and where {@link libc} is. */
export function tcpInfo(socket: Socket): TcpInfo | undefined {
  const calls = libc();
  // Node keeps the descriptor to itself, but has no way to ask the kernel for these numbers.
  const fd = (socket as unknown as { readonly _handle?: { readonly fd?: number } | null })._handle?.fd;
  if (!calls || fd === undefined || fd < 0) return undefined;
  const info = socketOption(calls, fd, IPPROTO_TCP, TCP_INFO, INFO_BYTES);
  if (!info) return undefined;
  return {
    rttMs: info.readUInt32LE(RTT_AT) / 1000,
    packets: info.readUInt32LE(DATA_SEGS_OUT_AT),
    repeated: info.readUInt32LE(TOTAL_RETRANS_AT),
  };
}
