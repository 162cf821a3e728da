import { isIPv4 } from 'node:net';
import type { Endpoint } from '../util/endpoint.js';
import { addressToBytes16, bytes16ToAddress } from '../util/ip-bytes.js';

/**
 * Port Control Protocol, RFC 6887. Every message begins with 24 octets; addresses have 16, IPv4 ones in their mapped form.
 *
 * Request: version 2, opcode, 2 reserved, lifetime (u32, seconds), client address (16).
 * Response: version 2, opcode + 128, 1 reserved, result, lifetime (u32), epoch (u32), 12 reserved.
 * MAP adds to both: nonce (12), protocol, 3 reserved, internal port, external port (u16), external address (16).
 */
export const PCP_VERSION = 2;
export const PCP_NONCE_BYTES = 12;
/** RFC 6887 section 7. */
export const PCP_MAX_BYTES = 1100;
const HEADER_BYTES = 24;
const MAP_BYTES = 60;
const RESPONSE = 0x80;
const OPCODES = { announce: 0, map: 1 } as const;
/** IANA protocol number. */
const UDP = 17;

export interface PcpMapRequest {
  /** The own address on the network of the router, from which the request is sent. */
  readonly client: string;
  /** 12 random octets, the same in every request about this mapping. */
  readonly nonce: Buffer;
  readonly internalPort: number;
  /** What we would like to get, or had before. */
  readonly suggested: Endpoint;
  /** Seconds; 0 removes the mapping. */
  readonly lifetime: number;
}

export interface PcpResponse {
  readonly opcode: keyof typeof OPCODES;
  /** 0 is success; others in RFC 6887 section 7.4. */
  readonly result: number;
  /** Seconds: of the mapping, or until one may ask again after an error. */
  readonly lifetime: number;
  /** Seconds since the router lost its mappings. */
  readonly epoch: number;
  readonly map?: { readonly nonce: Buffer; readonly internalPort: number; readonly external: Endpoint };
}

function header(opcode: number, lifetime: number, client: string): Buffer {
  const head = Buffer.alloc(8);
  head[0] = PCP_VERSION;
  head[1] = opcode;
  head.writeUInt32BE(lifetime, 4);
  return Buffer.concat([head, addressToBytes16(client)]);
}

/** A question that changes nothing: is there a PCP server? (RFC 6887 section 14.1.2) */
export function encodePcpAnnounce(client: string): Buffer {
  return header(OPCODES.announce, 0, client);
}

/** Asks for a mapping of a UDP port, or with lifetime 0 for its end. */
export function encodePcpMap(request: PcpMapRequest): Buffer {
  const { client, nonce, internalPort, suggested, lifetime } = request;
  const ports = Buffer.alloc(8);
  ports[0] = UDP;
  ports.writeUInt16BE(internalPort, 4);
  ports.writeUInt16BE(suggested.port, 6);
  return Buffer.concat([
    header(OPCODES.map, lifetime, client),
    nonce,
    ports,
    addressToBytes16(suggested.address),
  ]);
}

/** Reads a router's answer; undefined for everything else. Options behind it are not looked at. */
export function decodePcp(data: Uint8Array): PcpResponse | undefined {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  if (bytes.length < HEADER_BYTES || bytes.length > PCP_MAX_BYTES || bytes.length % 4 !== 0) return undefined;
  const code = (bytes[1] ?? 0) - RESPONSE;
  const opcode: PcpResponse['opcode'] | undefined =
    code === OPCODES.map ? 'map' : code === OPCODES.announce ? 'announce' : undefined;
  if (bytes[0] !== PCP_VERSION || opcode === undefined) return undefined;
  const common = {
    opcode,
    result: bytes[3] ?? 0,
    lifetime: bytes.readUInt32BE(4),
    epoch: bytes.readUInt32BE(8),
  };
  if (opcode === 'announce') return common;
  if (bytes.length < MAP_BYTES || bytes[36] !== UDP) return undefined;
  const map = {
    nonce: Buffer.from(bytes.subarray(24, 36)),
    internalPort: bytes.readUInt16BE(40),
    external: { address: bytes16ToAddress(bytes.subarray(44, 60)), port: bytes.readUInt16BE(42) },
  };
  return { ...common, map };
}

/** The address to suggest where none is: all zeros of the client's family. */
export function unspecified(client: string): string {
  return isIPv4(client) ? '0.0.0.0' : '::';
}
