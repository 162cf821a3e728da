import { AwlError } from '../errors.js';
import type { Endpoint } from '../util/endpoint.js';
import { bytesToAddress } from '../util/ip-bytes.js';
import { decodeMsgpack, encodeMsgpack, type Msgpack, Packed, splitArray, splitMap } from './msgpack.js';
import { HASH_BYTES, VALUE_MAX_BYTES } from './opendht-value.js';

/** Our user agent; nodes do not look at it (spec opendht 1). */
const AGENT = 'AWL1';
/** Nodes listed in one reply: 8, and some room. */
const NODES_MAX = 16;
/** Values in one message; beyond it the rest is left out. */
const VALUES_MAX = 256;
const U32_MAX = 0xffff_ffff;
/** Bytes of content in one fragment: with all headers it stays under the 1280 that every IPv6 path carries. */
const FRAGMENT_BYTES = 1152;
/** Values of this size together travel inside the message, larger ones in fragments behind it. */
const INLINE_MAX_BYTES = 600;

/** What every message of one network carries. */
export interface RpcFrame {
  readonly tid: number;
  /** OpenDHT network id; 0 is left out. */
  readonly network: number;
}

export interface NodeInfo {
  readonly id: Buffer;
  readonly endpoint: Endpoint;
}

/** Values inside a message, or the sizes of those that follow as fragments. */
export type RpcValues = { readonly inline: readonly Buffer[] } | { readonly sizes: readonly number[] };

/** The fields of queries and replies that awl looks at. */
export interface RpcBody {
  /** Node id of the sender. */
  readonly id: Buffer;
  readonly hash?: Buffer;
  readonly socketId?: number;
  readonly token?: Buffer;
  readonly values?: RpcValues;
  readonly nodes4: readonly NodeInfo[];
  readonly nodes6: readonly NodeInfo[];
}

export interface Fragment {
  /** Which of the announced values. */
  readonly index: number;
  readonly offset: number;
  readonly data: Buffer;
}

export type RpcMessage = RpcFrame &
  (
    | { readonly type: 'query'; readonly query: string; readonly body: RpcBody }
    | { readonly type: 'reply'; readonly body: RpcBody }
    | { readonly type: 'error'; readonly code: number; readonly text: string }
    | { readonly type: 'part'; readonly fragments: readonly Fragment[] }
  );

function malformed(what: string): AwlError {
  return new AwlError('MESSAGE_MALFORMED', `not an OpenDHT message: ${what}`);
}

function frame({ tid, network }: RpcFrame, type: 'q' | 'r' | 'p', rest: Record<string, Msgpack>): Buffer {
  return encodeMsgpack({
    ...rest,
    t: tid,
    y: type,
    v: type === 'q' ? AGENT : undefined,
    n: network === 0 ? undefined : network,
    // A declared client: nodes do not count on us for storage or routing.
    s: type === 'p' ? undefined : true,
  });
}

/**
 * A query as datagrams: the message, and behind it the fragments of `values` where those are too large to be inside
 * (spec opendht 5).
 */
export function encodeQuery(
  on: RpcFrame,
  query: string,
  args: { readonly [key: string]: Msgpack | undefined },
  values?: readonly Uint8Array[],
): Buffer[] {
  if (!values) return [frame(on, 'q', { q: query, a: args })];
  const total = values.reduce((sum, value) => sum + value.length, 0);
  const inline = total < INLINE_MAX_BYTES;
  const listed = values.map((value) => (inline ? new Packed(value) : value.length));
  const message = frame(on, 'q', { q: query, a: { ...args, values: listed } });
  return inline ? [message] : [message, ...encodeFragments(on, values)];
}

function encodeFragments(on: RpcFrame, values: readonly Uint8Array[]): Buffer[] {
  const datagrams: Buffer[] = [];
  for (const [index, value] of values.entries()) {
    for (let offset = 0; offset < value.length; offset += FRAGMENT_BYTES) {
      const part = { o: offset, d: value.subarray(offset, offset + FRAGMENT_BYTES) };
      datagrams.push(frame(on, 'p', { p: new Map([[index, part]]) }));
    }
  }
  return datagrams;
}

/** The bare reply that confirms a query; `address`, if told, is the asker's as 4 or 16 octets. */
export function encodeReply(on: RpcFrame, id: Uint8Array, address?: Uint8Array): Buffer {
  return frame(on, 'r', { r: address ? { id, sa: address } : { id } });
}

/**
 * Reads one datagram.
 * @throws AwlError MESSAGE_MALFORMED
 */
export function decodeRpc(datagram: Buffer): RpcMessage {
  const members = splitMap(datagram);
  const read = (name: string) => {
    const bytes = members.get(name);
    return bytes && decodeMsgpack(bytes);
  };
  const on = { tid: transactionId(read('t')), network: uint(read('n') ?? 0, 'network id') };
  // As upstream: an error may come beside an empty reply, and then it is the error that counts.
  const error = members.get('e');
  if (error) return { ...on, type: 'error', ...readError(error) };
  const reply = members.get('r');
  if (reply) return { ...on, type: 'reply', body: readBody(reply) };
  const parts = members.get('p');
  if (parts) return { ...on, type: 'part', fragments: readFragments(parts) };
  const query = read('q');
  const args = members.get('a');
  if (typeof query !== 'string' || !args) throw malformed('neither query nor reply');
  return { ...on, type: 'query', query, body: readBody(args) };
}

/** A number, or the four bytes of one (spec opendht 1). */
function transactionId(value: unknown): number {
  if (Buffer.isBuffer(value) && value.length === 4) return value.readUInt32BE();
  return uint(value, 'transaction id');
}

function uint(value: unknown, what: string, max = U32_MAX): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw malformed(`${what} is no number in its range`);
}

function readError(bytes: Buffer): { code: number; text: string } {
  const [code, text] = splitArray(bytes).map((item) => decodeMsgpack(item));
  return {
    code: uint(code, 'error code'),
    text: typeof text === 'string' ? text.slice(0, 100) : '',
  };
}

function readBody(bytes: Buffer): RpcBody {
  const members = splitMap(bytes);
  const read = (name: string) => {
    const item = members.get(name);
    return item && decodeMsgpack(item);
  };
  const hash = read('h');
  const sid = read('sid');
  const token = read('token');
  const values = members.get('values');
  return {
    id: hashOf(read('id'), 'node id'),
    ...(hash !== undefined && { hash: hashOf(hash, 'key') }),
    ...(sid !== undefined && { socketId: transactionId(sid) }),
    ...(Buffer.isBuffer(token) && { token }),
    ...(values && { values: readValues(values) }),
    nodes4: readNodes(read('n4'), 4),
    nodes6: readNodes(read('n6'), 16),
  };
}

function hashOf(value: unknown, what: string): Buffer {
  if (Buffer.isBuffer(value) && value.length === HASH_BYTES) return value;
  throw malformed(`${what} is not ${HASH_BYTES} octets`);
}

function readValues(bytes: Buffer): RpcValues {
  const items = splitArray(bytes).slice(0, VALUES_MAX);
  const first = items[0] && decodeMsgpack(items[0]);
  if (typeof first !== 'number') return { inline: items };
  return { sizes: items.map((item) => uint(decodeMsgpack(item), 'size of a value', VALUE_MAX_BYTES)) };
}

/** Id, address and port (big-endian), one node after the other. */
function readNodes(list: unknown, addressBytes: 4 | 16): NodeInfo[] {
  if (!Buffer.isBuffer(list)) return [];
  const size = HASH_BYTES + addressBytes + 2;
  if (list.length % size !== 0) throw malformed('a list of nodes of the wrong length');
  const nodes: NodeInfo[] = [];
  for (let at = 0; at < list.length && nodes.length < NODES_MAX; at += size) {
    const address = list.subarray(at + HASH_BYTES, at + HASH_BYTES + addressBytes);
    nodes.push({
      id: list.subarray(at, at + HASH_BYTES),
      endpoint: { address: bytesToAddress(address), port: list.readUInt16BE(at + size - 2) },
    });
  }
  return nodes;
}

function readFragments(bytes: Buffer): Fragment[] {
  const parts = decodeMsgpack(bytes);
  if (!(parts instanceof Map)) throw malformed('fragments are no map');
  return [...parts].map(([index, part]) => {
    if (!(part instanceof Map)) throw malformed('a fragment is no map');
    const data = part.get('d');
    if (!Buffer.isBuffer(data)) throw malformed('a fragment without data');
    return {
      index: uint(index, 'index of a fragment', VALUES_MAX - 1),
      offset: uint(part.get('o'), 'offset of a fragment', VALUE_MAX_BYTES),
      data,
    };
  });
}
