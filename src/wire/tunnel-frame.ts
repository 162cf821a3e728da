import { AwlError } from '../errors.js';
import {
  TUNNEL_DATA_BYTES,
  TUNNEL_DATAGRAM_BYTES,
  TUNNEL_HELLO_BYTES,
  TUNNEL_TEXT_BYTES,
} from './tunnel-limits.js';

/** Header: type (u8), channel (u32), length of the body (u24), big-endian. */
export const TUNNEL_FRAME_HEADER_BYTES = 8;

export const FRAME_TYPES = {
  hello: 0,
  open: 1,
  accept: 2,
  refuse: 3,
  data: 4,
  credit: 5,
  fin: 6,
  reset: 7,
  ping: 8,
  pong: 9,
  bye: 10,
  ack: 11,
  resume: 12,
  datagram: 13,
  offer: 14,
} as const;
export type FrameType = keyof typeof FRAME_TYPES;

/** One step of the conversation inside records. `channel` is 0 in what concerns the whole tunnel. */
export interface TunnelFrame {
  readonly type: FrameType;
  readonly channel: number;
  readonly body: Uint8Array;
}

/** How long a body may be; a frame of fixed size is exactly as long. */
const BODIES: Readonly<Record<FrameType, readonly [min: number, max: number]>> = {
  hello: [2, TUNNEL_HELLO_BYTES],
  open: [1, TUNNEL_TEXT_BYTES],
  accept: [0, 0],
  refuse: [0, TUNNEL_TEXT_BYTES],
  data: [1, TUNNEL_DATA_BYTES],
  credit: [4, 4],
  fin: [0, 0],
  reset: [0, 0],
  ping: [4, 4],
  pong: [4, 4],
  bye: [0, TUNNEL_TEXT_BYTES],
  ack: [6, 6],
  resume: [6, 6],
  datagram: [0, TUNNEL_DATAGRAM_BYTES],
  offer: [2, TUNNEL_TEXT_BYTES],
};
const NAMES = Object.keys(FRAME_TYPES) as FrameType[];
const WHOLE_TUNNEL: ReadonlySet<FrameType> = new Set([
  'hello',
  'ping',
  'pong',
  'bye',
  'ack',
  'resume',
  'offer',
]);
const NOTHING = new Uint8Array();

/** Writes a frame into `record`; yields where it ends. */
export function writeFrame(record: Buffer, at: number, { type, channel, body }: TunnelFrame): number {
  record[at] = FRAME_TYPES[type];
  record.writeUInt32BE(channel, at + 1);
  record.writeUIntBE(body.length, at + 5, 3);
  record.set(body, at + TUNNEL_FRAME_HEADER_BYTES);
  return at + TUNNEL_FRAME_HEADER_BYTES + body.length;
}

/** One whole frame, for records that hold nothing else. */
export function encodeFrame(frame: TunnelFrame): Buffer {
  const record = Buffer.allocUnsafe(TUNNEL_FRAME_HEADER_BYTES + frame.body.length);
  writeFrame(record, 0, frame);
  return record;
}

export function textFrame(type: FrameType, channel: number, text: string): TunnelFrame {
  return { type, channel, body: Buffer.from(text) };
}

/** credit, ping and pong carry one u32. */
export function numberFrame(type: FrameType, channel: number, value: number): TunnelFrame {
  const body = Buffer.allocUnsafe(4);
  body.writeUInt32BE(value);
  return { type, channel, body };
}

/** ack and resume carry a number of records, u48. */
export function countFrame(type: FrameType, count: number): TunnelFrame {
  const body = Buffer.allocUnsafe(6);
  body.writeUIntBE(count, 0, 6);
  return { type, channel: 0, body };
}

export function bareFrame(type: FrameType, channel: number): TunnelFrame {
  return { type, channel, body: NOTHING };
}

export function bodyNumber(frame: TunnelFrame): number {
  return Buffer.from(frame.body).readUInt32BE();
}

export function bodyCount(frame: TunnelFrame): number {
  return Buffer.from(frame.body).readUIntBE(0, 6);
}

export function bodyText(frame: TunnelFrame): string {
  return Buffer.from(frame.body).toString();
}

/**
 * The frames of one record, in order. A frame never crosses records.
 * @throws AwlError MESSAGE_MALFORMED on an unknown type, a length that cannot be, or a frame cut short
 */
export function* decodeFrames(record: Buffer): Generator<TunnelFrame, void> {
  let at = 0;
  while (at < record.length) {
    if (record.length - at < TUNNEL_FRAME_HEADER_BYTES) throw malformed('is cut short');
    const type = NAMES[record[at] ?? NAMES.length];
    if (!type) throw malformed(`has the unknown type ${record[at]}`);
    const channel = record.readUInt32BE(at + 1);
    const length = record.readUIntBE(at + 5, 3);
    at += TUNNEL_FRAME_HEADER_BYTES;
    const [min, max] = BODIES[type];
    if (length < min || length > max) throw malformed(`(${type}) has a body of ${length} bytes`);
    if (length > record.length - at) throw malformed(`(${type}) is cut short`);
    if (WHOLE_TUNNEL.has(type) !== (channel === 0)) throw malformed(`(${type}) names channel ${channel}`);
    yield { type, channel, body: record.subarray(at, at + length) };
    at += length;
  }
}

function malformed(what: string): AwlError {
  return new AwlError('MESSAGE_MALFORMED', `a frame of the tunnel ${what}`, {
    hint: 'both sides should run the same version of awl',
  });
}
