import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import type { PunchRole } from './confirm.js';

const KEY_BYTES = 32;

/** What TCP under a tunnel needs; every part is derived from the session key and of use nowhere else. */
export interface TunnelTcpKeys {
  /** Pre-shared key of the TLS handshake. */
  readonly psk: Buffer;
  /** In the place of a session key for the carrier: its datagrams and its resume token. */
  readonly carrier: Buffer;
  readonly proofs: Readonly<Record<PunchRole, Buffer>>;
}

/**
 * HKDF-SHA256 of the session key, no salt, info = "awl tunnel v1 tcp " || purpose (docs/PROTOCOL.md).
 * @throws RangeError if the session key is not 32 bytes
 */
export function deriveTunnelTcpKeys(sessionKey: Uint8Array): TunnelTcpKeys {
  if (sessionKey.length !== KEY_BYTES) throw new RangeError('a session key has 32 bytes');
  const expand = (purpose: string) =>
    Buffer.from(hkdfSync('sha256', sessionKey, '', `awl tunnel v1 tcp ${purpose}`, KEY_BYTES));
  return {
    psk: expand('psk'),
    carrier: expand('carrier'),
    proofs: { invite: expand('proof from invite'), accept: expand('proof from accept') },
  };
}

/** What a side says first on a channel: that it holds the key, and sees this very TLS session (RFC 9266's idea). */
export function channelProof(key: Uint8Array, exported: Uint8Array): Buffer {
  return createHmac('sha256', key).update(exported).digest();
}

export function isChannelProof(key: Uint8Array, exported: Uint8Array, proof: Uint8Array): boolean {
  const expected = channelProof(key, exported);
  return proof.length === expected.length && timingSafeEqual(expected, proof);
}
