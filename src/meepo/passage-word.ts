import { isAwlError } from '../errors.js';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../util/endpoint.js';

/** What one awl node tells another inside its sealed description, so that they need no WebRTC. */
export interface PassageWord {
  /** Where the node is seen: by a STUN server, else its own address. */
  readonly at: Endpoint;
  /** Its own addresses. */
  readonly hosts: readonly Endpoint[];
  /** 64-bit puzzle, as in a reference. */
  readonly puzzle: bigint;
  /** X25519 public key of this one attempt. */
  readonly dh: Buffer;
}

const HOSTS_MAX = 8;

/** `{"v":1,"at":"ip:port","hosts":[…],"z":"16 hex digits","dh":"base64url"}` */
export function encodePassageWord({ at, hosts, puzzle, dh }: PassageWord): string {
  return JSON.stringify({
    v: 1,
    at: formatEndpoint(at),
    hosts: hosts.slice(0, HOSTS_MAX).map(formatEndpoint),
    z: puzzle.toString(16).padStart(16, '0'),
    dh: dh.toString('base64url'),
  });
}

/** Undefined for what another version may say; the peer is awl all the same, and WebRTC is left. */
export function decodePassageWord(text: string): PassageWord | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const { v, at, hosts, z, dh } = value as Readonly<Record<string, unknown>>;
    const endpoint = typeof at === 'string' ? parseEndpoint(at) : undefined;
    if (v !== 1 || !endpoint || !Array.isArray(hosts) || typeof z !== 'string' || typeof dh !== 'string') {
      return undefined;
    }
    const key = Buffer.from(dh, 'base64url');
    if (!/^[0-9a-f]{16}$/.test(z) || key.length !== 32 || hosts.length > HOSTS_MAX) return undefined;
    const own = hosts.map((one) => (typeof one === 'string' ? parseEndpoint(one) : undefined));
    return { at: endpoint, hosts: own.filter((one) => one !== undefined), puzzle: BigInt(`0x${z}`), dh: key };
  } catch (error) {
    if (isAwlError(error) || error instanceof SyntaxError) return undefined;
    throw error;
  }
}
