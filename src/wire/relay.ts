import { hkdfSync } from 'node:crypto';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import type { PunchRole } from './confirm.js';

/** Begins every message to and from a relay; everything else that a relay gets is a payload. */
const MAGIC = Buffer.from('d761776c726c7901', 'hex');
const TYPE = { ask: 1, challenge: 2, bind: 3, bound: 4, refused: 5 } as const;
const HEAD_BYTES = MAGIC.length + 1;

export const RELAY_NONCE_BYTES = 16;
export const RELAY_COOKIE_BYTES = 24;
export const RELAY_SESSION_BYTES = 16;
/** So long that the challenge is shorter: a relay makes nothing larger of a source that it has not seen. */
const ASK_BYTES = 96;
/** RSA of 4096 bits takes 550 and 512. */
const KEY_MAX_BYTES = 600;
const SIGNATURE_MAX_BYTES = 520;
const SIGNED_LABEL = 'awl relay v1 bind';
const SESSION_LABEL = 'awl relay v1 session';
const ROLES: readonly PunchRole[] = ['accept', 'invite'];

/** Why a relay refuses; the order is the number on the wire. */
export const RELAY_REFUSALS = ['unknown', 'not-allowed', 'full', 'taken'] as const;
export type RelayRefusal = (typeof RELAY_REFUSALS)[number];

/** What a client must prove before anything is relayed for it. */
export interface RelayClaim {
  readonly cookie: Buffer;
  /** Equal on both sides of one session, known to nobody else. */
  readonly session: Buffer;
  readonly role: PunchRole;
  /** DER SubjectPublicKeyInfo. */
  readonly key: Buffer;
  readonly signature: Buffer;
}

/** One message between a client and a relay; `nonce` is the client's and stands in every answer. */
export type RelayMessage = { readonly nonce: Buffer } & (
  | { readonly type: 'ask' }
  | { readonly type: 'challenge'; readonly cookie: Buffer }
  | ({ readonly type: 'bind' } & RelayClaim)
  /** `ready`: the other side is there as well. */
  | { readonly type: 'bound'; readonly ready: boolean }
  | { readonly type: 'refused'; readonly reason: RelayRefusal }
);

/** The 16 bytes by which a relay finds out which two clients belong together: HKDF-SHA256 of the confirmation key. */
export function relaySession(confirmKey: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', confirmKey, '', SESSION_LABEL, RELAY_SESSION_BYTES));
}

/**
 * What a client signs (SHA-256; PKCS#1 v1.5 or ECDSA in DER): a label, the relay as the client addresses it, nonce,
 * cookie, session and role, so that the signature is good at this relay, for this session and address only.
 */
export function relaySigned(
  relay: Endpoint,
  nonce: Buffer,
  claim: Omit<RelayClaim, 'key' | 'signature'>,
): Buffer {
  const { cookie, session, role } = claim;
  const place = Buffer.from(`${SIGNED_LABEL}\0${formatEndpoint(relay)}\0`);
  return Buffer.concat([place, nonce, cookie, session, Buffer.of(ROLES.indexOf(role))]);
}

/** The bytes of a message (docs/PROTOCOL.md, "The relay"). */
export function encodeRelay(message: RelayMessage): Buffer {
  const head = Buffer.concat([MAGIC, Buffer.of(TYPE[message.type]), message.nonce]);
  switch (message.type) {
    case 'ask':
      return Buffer.concat([head], ASK_BYTES);
    case 'challenge':
      return Buffer.concat([head, message.cookie]);
    case 'bind': {
      const { cookie, session, role, key, signature } = message;
      const sizes = Buffer.alloc(5);
      sizes.writeUInt8(ROLES.indexOf(role), 0);
      sizes.writeUInt16BE(key.length, 1);
      sizes.writeUInt16BE(signature.length, 3);
      return Buffer.concat([head, cookie, session, sizes, key, signature]);
    }
    case 'bound':
      return Buffer.concat([head, Buffer.of(message.ready ? 1 : 0)]);
    case 'refused':
      return Buffer.concat([head, Buffer.of(RELAY_REFUSALS.indexOf(message.reason))]);
  }
}

/** Reads exactly what {@link encodeRelay} writes; undefined for everything else. */
export function decodeRelay(data: Uint8Array): RelayMessage | undefined {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  if (bytes.length < HEAD_BYTES + RELAY_NONCE_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) {
    return undefined;
  }
  const nonce = Buffer.from(bytes.subarray(HEAD_BYTES, HEAD_BYTES + RELAY_NONCE_BYTES));
  const rest = bytes.subarray(HEAD_BYTES + RELAY_NONCE_BYTES);
  switch (bytes[MAGIC.length]) {
    case TYPE.ask:
      return bytes.length === ASK_BYTES && rest.every((byte) => byte === 0)
        ? { type: 'ask', nonce }
        : undefined;
    case TYPE.challenge:
      if (rest.length !== RELAY_COOKIE_BYTES) return undefined;
      return { type: 'challenge', nonce, cookie: Buffer.from(rest) };
    case TYPE.bind:
      return decodeBind(nonce, rest);
    case TYPE.bound:
      if (rest.length !== 1 || (rest[0] ?? 2) > 1) return undefined;
      return { type: 'bound', nonce, ready: rest[0] === 1 };
    case TYPE.refused: {
      if (rest.length !== 1) return undefined;
      return { type: 'refused', nonce, reason: RELAY_REFUSALS[rest[0] ?? 0] ?? 'unknown' };
    }
    default:
      return undefined;
  }
}

function decodeBind(nonce: Buffer, rest: Buffer): RelayMessage | undefined {
  const fixed = RELAY_COOKIE_BYTES + RELAY_SESSION_BYTES;
  if (rest.length < fixed + 5) return undefined;
  const role = ROLES[rest.readUInt8(fixed)];
  const keyBytes = rest.readUInt16BE(fixed + 1);
  const signatureBytes = rest.readUInt16BE(fixed + 3);
  const begin = fixed + 5;
  if (!role || keyBytes > KEY_MAX_BYTES || signatureBytes > SIGNATURE_MAX_BYTES) return undefined;
  if (rest.length !== begin + keyBytes + signatureBytes) return undefined;
  const part = (from: number, bytes: number) => Buffer.from(rest.subarray(from, from + bytes));
  return {
    type: 'bind',
    nonce,
    cookie: part(0, RELAY_COOKIE_BYTES),
    session: part(RELAY_COOKIE_BYTES, RELAY_SESSION_BYTES),
    role,
    key: part(begin, keyBytes),
    signature: part(begin + keyBytes, signatureBytes),
  };
}
