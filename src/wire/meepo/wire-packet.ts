import { decodeMsgpack, encodeMsgpack, Packed } from '../msgpack.js';
import { type Descriptor, readDescriptor } from './descriptor.js';
import { malformedMeepo, readBase64, readCount, sortedMap } from './fields.js';
import { decodePacket, encodePacket, type Packet } from './packet.js';

/** First hop value of selfmesh, and the most that is believed. */
export const MESH_HOPS = 16;

/** Body of the inner packet of selfmesh: `{Descriptor: {ID, UserData}}`. */
export function encodeWireBody({ ID, UserData }: Descriptor): Buffer {
  const descriptor = encodeMsgpack({ ID, UserData: new Packed(sortedMap(UserData)) });
  return encodeMsgpack({ Descriptor: new Packed(descriptor) });
}

/** @throws AwlError MESSAGE_MALFORMED */
export function decodeWireBody(data: Buffer): Descriptor {
  const value = decodeMsgpack(data);
  if (!(value instanceof Map)) throw malformedMeepo('the body is no map');
  return readDescriptor(value.get('Descriptor'));
}

/** Body of the outer packet: how far it may still go, and the complete inner packet. */
export function encodeHop(hop: number, inner: Packet): Buffer {
  return encodeMsgpack({ Hop: hop, Packet: encodePacket(inner).toString('base64') });
}

/** @throws AwlError MESSAGE_MALFORMED */
export function decodeHop(data: Buffer): { readonly hop: number; readonly inner: Packet } {
  const value = decodeMsgpack(data);
  if (!(value instanceof Map)) throw malformedMeepo('the body is no map');
  const inner = decodePacket(readBase64(value.get('Packet'), 'the inner packet'));
  // A real node at the end of the line may count below zero.
  const hop = value.get('Hop');
  return { hop: typeof hop === 'number' && hop < 0 ? 0 : readCount(hop, 'the hop count'), inner };
}
