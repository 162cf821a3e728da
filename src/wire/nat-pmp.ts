import { bytesToAddress } from '../util/ip-bytes.js';

/**
 * NAT Port Mapping Protocol, RFC 6886, of UDP ports. Requests: version 0, opcode (0: which is your outside address?;
 * 1: map a UDP port: 2 reserved, internal port, external port (u16), lifetime (u32, seconds)). Responses: version 0,
 * opcode + 128, result (u16), epoch (u32), then 4 octets of address, or internal port, external port, lifetime.
 */
const RESPONSE = 0x80;
const ADDRESS = 0;
const MAP_UDP = 1;
/** RFC 6886 section 3.5: the answer to a version that the router does not know. */
export const NAT_PMP_UNSUPPORTED_VERSION = 1;

export type NatPmpResponse =
  | { readonly kind: 'address'; readonly result: number; readonly address?: string }
  | {
      readonly kind: 'map';
      readonly result: number;
      readonly internalPort: number;
      readonly externalPort: number;
      /** Seconds. */
      readonly lifetime: number;
    };

/** "Which is your outside address?" */
export function encodeNatPmpAddress(): Buffer {
  return Buffer.from([0, ADDRESS]);
}

/** Asks for a mapping, or with lifetime 0 (and external port 0) for its end. */
export function encodeNatPmpMap(internalPort: number, externalPort: number, lifetime: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes[1] = MAP_UDP;
  bytes.writeUInt16BE(internalPort, 4);
  bytes.writeUInt16BE(externalPort, 6);
  bytes.writeUInt32BE(lifetime, 8);
  return bytes;
}

/** Reads a router's answer; undefined for everything else. An answer that only says why not may be short. */
export function decodeNatPmp(data: Uint8Array): NatPmpResponse | undefined {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  if (bytes.length < 8 || bytes.length > 16 || bytes[0] !== 0) return undefined;
  const result = bytes.readUInt16BE(2);
  if (bytes[1] === RESPONSE + ADDRESS) {
    if (bytes.length === 12) return { kind: 'address', result, address: bytesToAddress(bytes.subarray(8)) };
    return result === 0 ? undefined : { kind: 'address', result };
  }
  if (bytes[1] !== RESPONSE + MAP_UDP || (bytes.length !== 16 && result === 0)) return undefined;
  const whole = bytes.length === 16;
  return {
    kind: 'map',
    result,
    internalPort: whole ? bytes.readUInt16BE(8) : 0,
    externalPort: whole ? bytes.readUInt16BE(10) : 0,
    lifetime: whole ? bytes.readUInt32BE(12) : 0,
  };
}
