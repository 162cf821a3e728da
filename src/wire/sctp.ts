import { crc32c } from './crc32c.js';

/**
 * The part of SCTP (RFC 9260, with the stream resets of RFC 6525) that data channels need, as bytes. A packet is
 * `source port | destination port (u16) | tag (u32) | CRC32C (u32, little-endian)`, then chunks of
 * `type | flags (u8) | length (u16, itself included) | value`, each filled up to four bytes.
 */

export const SCTP_PORT = 5000;
const HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 4;
const DATA_HEADER_BYTES = 16;

export const CHUNK = {
  data: 0,
  init: 1,
  initAck: 2,
  sack: 3,
  heartbeat: 4,
  heartbeatAck: 5,
  abort: 6,
  shutdown: 7,
  shutdownAck: 8,
  cookieEcho: 10,
  cookieAck: 11,
  shutdownComplete: 14,
  reconfig: 130,
} as const;

export const PARAMETER = {
  cookie: 7,
  resetRequest: 13,
  reconfigResponse: 16,
  extensions: 0x8008,
} as const;

/** Flags of a DATA chunk. */
export const FIRST = 2;
export const LAST = 1;

export interface Chunk {
  readonly type: number;
  readonly flags: number;
  readonly body: Buffer;
}

export interface SctpPacket {
  readonly tag: number;
  readonly chunks: readonly Chunk[];
}

/** One piece of a message. */
export interface DataChunk {
  readonly flags: number;
  readonly tsn: number;
  readonly stream: number;
  readonly sequence: number;
  /** What the message is (RFC 8831 section 8). */
  readonly protocol: number;
  readonly data: Buffer;
}

export interface Sack {
  /** All up to this one arrived. */
  readonly cumulative: number;
  readonly window: number;
  /** First and last of what arrived beyond that, counted from `cumulative`. */
  readonly gaps: readonly (readonly [first: number, last: number])[];
}

export interface Init {
  readonly tag: number;
  readonly window: number;
  readonly outbound: number;
  readonly inbound: number;
  readonly firstTsn: number;
  readonly parameters: ReadonlyMap<number, Buffer>;
}

export interface ResetRequest {
  readonly sequence: number;
  /** The last TSN that was given out before the reset. */
  readonly lastTsn: number;
  readonly streams: readonly number[];
}

/** a - b of 32-bit serial numbers: negative if a is before b (RFC 1982). */
export const serialDiff = (a: number, b: number): number => (a - b) | 0;
export const serialAdd = (a: number, n: number): number => (a + n) >>> 0;

const padded = (length: number) => (length + 3) & ~3;

/** A chunk's bytes. */
export function encodeChunk(type: number, flags: number, body: Uint8Array): Buffer {
  const length = CHUNK_HEADER_BYTES + body.length;
  const bytes = Buffer.alloc(padded(length));
  bytes[0] = type;
  bytes[1] = flags;
  bytes.writeUInt16BE(length, 2);
  bytes.set(body, CHUNK_HEADER_BYTES);
  return bytes;
}

/** A DATA chunk's bytes. */
function writeData(bytes: Buffer, at: number, chunk: DataChunk): void {
  const { data } = chunk;
  bytes[at] = CHUNK.data;
  bytes[at + 1] = chunk.flags;
  bytes.writeUInt16BE(DATA_HEADER_BYTES + data.length, at + 2);
  bytes.writeUInt32BE(chunk.tsn, at + 4);
  bytes.writeUInt16BE(chunk.stream, at + 8);
  bytes.writeUInt16BE(chunk.sequence, at + 10);
  bytes.writeUInt32BE(chunk.protocol, at + 12);
  bytes.set(data, at + DATA_HEADER_BYTES);
  const end = at + dataBytes(data);
  for (let i = at + DATA_HEADER_BYTES + data.length; i < end; i++) bytes[i] = 0;
}

/** Bytes that a piece takes in a packet. */
export const dataBytes = (data: Buffer): number => padded(DATA_HEADER_BYTES + data.length);

/** A packet of finished chunks, and of pieces behind them. */
export function encodeSctp(
  tag: number,
  chunks: readonly Buffer[],
  pieces: readonly DataChunk[] = [],
): Buffer {
  let length = HEADER_BYTES;
  for (const chunk of chunks) length += chunk.length;
  for (const { data } of pieces) length += dataBytes(data);
  const bytes = Buffer.allocUnsafe(length);
  bytes.writeUInt16BE(SCTP_PORT, 0);
  bytes.writeUInt16BE(SCTP_PORT, 2);
  bytes.writeUInt32BE(tag, 4);
  bytes.writeUInt32LE(0, 8);
  let at = HEADER_BYTES;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  for (const piece of pieces) {
    writeData(bytes, at, piece);
    at += dataBytes(piece.data);
  }
  bytes.writeUInt32LE(crc32c(bytes), 8);
  return bytes;
}

/** Changes the sum's bytes, which lie in a buffer that nobody else reads. @throws RangeError */
export function decodeSctp(bytes: Buffer): SctpPacket {
  if (bytes.length < HEADER_BYTES + CHUNK_HEADER_BYTES) throw new RangeError('no SCTP packet');
  const sum = bytes.readUInt32LE(8);
  bytes.writeUInt32LE(0, 8);
  if (crc32c(bytes) !== sum) throw new RangeError('the sum is wrong');
  const chunks: Chunk[] = [];
  for (let at = HEADER_BYTES; at < bytes.length; ) {
    const length = at + CHUNK_HEADER_BYTES > bytes.length ? 0 : bytes.readUInt16BE(at + 2);
    if (length < CHUNK_HEADER_BYTES || at + length > bytes.length) throw new RangeError('a cut chunk');
    const body = bytes.subarray(at + CHUNK_HEADER_BYTES, at + length);
    chunks.push({ type: bytes[at] as number, flags: bytes[at + 1] as number, body });
    at += padded(length);
  }
  return { tag: bytes.readUInt32BE(4), chunks };
}

/** @throws RangeError */
export function readData({ flags, body }: Chunk): DataChunk {
  if (body.length <= DATA_HEADER_BYTES - CHUNK_HEADER_BYTES) throw new RangeError('DATA without data');
  return {
    flags,
    tsn: body.readUInt32BE(0),
    stream: body.readUInt16BE(4),
    sequence: body.readUInt16BE(6),
    protocol: body.readUInt32BE(8),
    data: body.subarray(12),
  };
}

export function encodeSack({ cumulative, window, gaps }: Sack): Buffer {
  const body = Buffer.alloc(12 + 4 * gaps.length);
  body.writeUInt32BE(cumulative, 0);
  body.writeUInt32BE(window, 4);
  body.writeUInt16BE(gaps.length, 8);
  gaps.forEach(([first, last], i) => {
    body.writeUInt16BE(first, 12 + 4 * i);
    body.writeUInt16BE(last, 14 + 4 * i);
  });
  return encodeChunk(CHUNK.sack, 0, body);
}

/** @throws RangeError */
export function readSack({ body }: Chunk): Sack {
  const count = body.readUInt16BE(8);
  const gaps = Array.from(
    { length: count },
    (_, i) => [body.readUInt16BE(12 + 4 * i), body.readUInt16BE(14 + 4 * i)] as const,
  );
  return { cumulative: body.readUInt32BE(0), window: body.readUInt32BE(4), gaps };
}

function encodeParameters(parameters: Iterable<readonly [number, Uint8Array]>): Buffer {
  // They look as chunks do, but for a type of two bytes where those have type and flags.
  return Buffer.concat([...parameters].map(([type, value]) => encodeChunk(type >> 8, type & 0xff, value)));
}

/** Of several of one kind the last counts. @throws RangeError */
function readParameters(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + CHUNK_HEADER_BYTES <= bytes.length; ) {
    const length = bytes.readUInt16BE(at + 2);
    if (length < CHUNK_HEADER_BYTES || at + length > bytes.length) throw new RangeError('a cut parameter');
    found.set(bytes.readUInt16BE(at), bytes.subarray(at + CHUNK_HEADER_BYTES, at + length));
    at += padded(length);
  }
  return found;
}

/** INIT or INIT ACK. */
export function encodeInit(type: number, init: Init): Buffer {
  const fixed = Buffer.alloc(16);
  fixed.writeUInt32BE(init.tag, 0);
  fixed.writeUInt32BE(init.window, 4);
  fixed.writeUInt16BE(init.outbound, 8);
  fixed.writeUInt16BE(init.inbound, 10);
  fixed.writeUInt32BE(init.firstTsn, 12);
  return encodeChunk(type, 0, Buffer.concat([fixed, encodeParameters(init.parameters)]));
}

/** @throws RangeError */
export function readInit({ body }: Chunk): Init {
  return {
    tag: body.readUInt32BE(0),
    window: body.readUInt32BE(4),
    outbound: body.readUInt16BE(8),
    inbound: body.readUInt16BE(10),
    firstTsn: body.readUInt32BE(12),
    parameters: readParameters(body.subarray(16)),
  };
}

/** "Our ends of these streams begin anew" (RFC 6525 section 4.1). */
export function encodeResetRequest({ sequence, lastTsn, streams }: ResetRequest): Buffer {
  const value = Buffer.alloc(12 + 2 * streams.length);
  value.writeUInt32BE(sequence, 0);
  // The request of the peer that this one answers: none.
  value.writeUInt32BE(serialAdd(sequence, -1), 4);
  value.writeUInt32BE(lastTsn, 8);
  streams.forEach((stream, i) => {
    value.writeUInt16BE(stream, 12 + 2 * i);
  });
  return encodeChunk(CHUNK.reconfig, 0, encodeParameters([[PARAMETER.resetRequest, value]]));
}

/** Results of a reset (RFC 6525 section 4.4). */
export const RESET_DONE = 1;
export const RESET_IN_PROGRESS = 6;

export function encodeResetResponse(sequence: number, result: number): Buffer {
  const value = Buffer.alloc(8);
  value.writeUInt32BE(sequence, 0);
  value.writeUInt32BE(result, 4);
  return encodeChunk(CHUNK.reconfig, 0, encodeParameters([[PARAMETER.reconfigResponse, value]]));
}

/** What a RE-CONFIG chunk asks and answers. @throws RangeError */
export function readReconfig({ body }: Chunk): {
  readonly request?: ResetRequest;
  readonly response?: { readonly sequence: number; readonly result: number };
} {
  const parameters = readParameters(body);
  const request = parameters.get(PARAMETER.resetRequest);
  const response = parameters.get(PARAMETER.reconfigResponse);
  return {
    ...(request && {
      request: {
        sequence: request.readUInt32BE(0),
        lastTsn: request.readUInt32BE(8),
        streams: Array.from({ length: (request.length - 12) >> 1 }, (_, i) =>
          request.readUInt16BE(12 + 2 * i),
        ),
      },
    }),
    ...(response && {
      response: { sequence: response.readUInt32BE(0), result: response.readUInt32BE(4) },
    }),
  };
}
