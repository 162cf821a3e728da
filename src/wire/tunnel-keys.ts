import { hkdfSync } from 'node:crypto';
import type { PunchRole } from './confirm.js';
import { TUNNEL_LANES } from './tunnel-limits.js';

const KEY_BYTES = 32;
const TOKEN_BYTES = 16;

/** Keys and stream ids of one tunnel as one of its ends uses them. */
export interface TunnelKeys {
  readonly send: DirectionKeys;
  readonly receive: DirectionKeys;
  /** Names the tunnel that begins under these keys to its other end alone, 16 bytes. */
  readonly resume: Buffer;
}

export interface DirectionKeys {
  /** Seals the records of the stream. */
  readonly stream: Buffer;
  /** Seals datagrams. */
  readonly datagram: Buffer;
  /** Seals volleys and their reports, and marks segments: see `volley.ts`. */
  readonly volleys: VolleyKeys;
  /** UDX stream ids at the receiving end, 31 bits each: whoever does not know the keys cannot guess them. */
  readonly streamIds: readonly number[];
}

export interface VolleyKeys {
  readonly volley: Buffer;
  readonly report: Buffer;
  /** 32 bits that whoever does not see the packets cannot guess. */
  readonly token: number;
}

/**
 * All keys of a tunnel (docs/PROTOCOL.md, "The tunnel"): HKDF-SHA256 of the passage's session key, no salt,
 * info = "awl tunnel v1 " || purpose || " from " || the sending role; the resume token has no role.
 * @throws RangeError if the session key is not 32 bytes
 */
export function deriveTunnelKeys(sessionKey: Uint8Array, role: PunchRole): TunnelKeys {
  if (sessionKey.length !== KEY_BYTES) throw new RangeError('a session key has 32 bytes');
  const expand = (purpose: string, bytes: number) =>
    Buffer.from(hkdfSync('sha256', sessionKey, '', `awl tunnel v1 ${purpose}`, bytes));
  const derive = (purpose: string, from: PunchRole, bytes: number) =>
    expand(`${purpose} from ${from}`, bytes);
  const direction = (from: PunchRole): DirectionKeys => ({
    stream: derive('stream', from, KEY_BYTES),
    datagram: derive('datagram', from, KEY_BYTES),
    volleys: {
      volley: derive('volley', from, KEY_BYTES),
      report: derive('report', from, KEY_BYTES),
      token: derive('token', from, 4).readUInt32BE(),
    },
    streamIds: idsOf(derive('stream id', from, 4 * TUNNEL_LANES)),
  });
  const other = role === 'invite' ? 'accept' : 'invite';
  return { send: direction(role), receive: direction(other), resume: expand('resume', TOKEN_BYTES) };
}

function idsOf(bytes: Buffer): number[] {
  return Array.from({ length: TUNNEL_LANES }, (_, i) => bytes.readUInt32BE(4 * i) >>> 1);
}
