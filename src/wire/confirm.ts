import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto';
import { CONFIRM_FRAME_BYTES } from '../constants.js';
import { AwlError } from '../errors.js';
import type { Endpoint } from '../util/endpoint.js';
import { maskSeen, readSeen, SEEN_BYTES, seenBytes } from './seen.js';

/** Who sends: the side that invited or the side that accepted. */
export type PunchRole = 'accept' | 'invite';

export const CONFIRM_NONCE_BYTES = 8;
/** A choice or its answer that says where its sender sees the other side. */
export const SEEN_FRAME_BYTES = CONFIRM_FRAME_BYTES + SEEN_BYTES;
export const CONFIRM_KEY_BYTES = 32;

const MAC_BYTES = CONFIRM_FRAME_BYTES - CONFIRM_NONCE_BYTES;
const TYPE_CONFIRM = Buffer.of(1);
const TYPE_ACK = Buffer.of(2);
const TYPE_CHOICE = Buffer.of(3);
const TYPE_CHOICE_ACK = Buffer.of(4);
const KEY_LABEL = 'awl confirm key v1';
const DIRECTION_LABEL = 'awl confirm frame v1 from ';
const DIGEST = /^[0-9a-f]{64}$/;

export interface ConfirmKeyMaterial {
  /** X25519 of both sides' keys of this exchange, 32 bytes. */
  readonly sharedSecret: Uint8Array;
  /** Puzzle XOR puzzle, 64 bits. */
  readonly secret: bigint;
  /** Digests of the two opened messages, hex SHA-256. */
  readonly inviteDigest: string;
  readonly acceptDigest: string;
}

/**
 * The session's 32-byte confirmation key (docs/PROTOCOL.md, "The confirmation"):
 * HKDF-SHA256 with IKM = shared secret || secret as 8 bytes big-endian, no salt,
 * info = "awl confirm key v1" || invitation's digest || answer's digest.
 * Fresh keys on both sides make it forward secret; the digests bind it to exactly these two signed messages.
 * @throws AwlError MESSAGE_MALFORMED on a shared secret or digest that cannot be one
 */
export function deriveConfirmKey(material: ConfirmKeyMaterial): Buffer {
  const { sharedSecret, secret, inviteDigest, acceptDigest } = material;
  // RFC 7748 section 6.1: an all-zero result means the peer's key was of low order and contributed nothing.
  if (sharedSecret.length !== 32 || sharedSecret.every((byte) => byte === 0)) {
    throw new AwlError('MESSAGE_MALFORMED', "the peer's X25519 key gives no usable shared secret", {
      hint: 'let both sides start again; if it stays, the peer runs a broken or hostile awl',
    });
  }
  if (!DIGEST.test(inviteDigest) || !DIGEST.test(acceptDigest)) {
    throw new AwlError('MESSAGE_MALFORMED', 'a message digest is not 64 hexadecimal digits');
  }
  const puzzle = Buffer.alloc(8);
  puzzle.writeBigUInt64BE(BigInt.asUintN(64, secret));
  const info = Buffer.concat([
    Buffer.from(KEY_LABEL),
    Buffer.from(inviteDigest, 'hex'),
    Buffer.from(acceptDigest, 'hex'),
  ]);
  return Buffer.from(hkdfSync('sha256', Buffer.concat([sharedSecret, puzzle]), '', info, CONFIRM_KEY_BYTES));
}

/**
 * The key of the frames that `sender` sends. Each direction has its own, so a frame that comes back fails.
 * @throws RangeError if the session's key is not 32 bytes
 */
export function directionKey(confirmKey: Uint8Array, sender: PunchRole): Buffer {
  if (confirmKey.length !== CONFIRM_KEY_BYTES) throw new RangeError('a confirmation key has 32 bytes');
  return Buffer.from(hkdfSync('sha256', confirmKey, '', DIRECTION_LABEL + sender, CONFIRM_KEY_BYTES));
}

function seal(key: Uint8Array, nonce: Uint8Array, type: Buffer, acknowledged: Uint8Array): Buffer {
  if (nonce.length !== CONFIRM_NONCE_BYTES) throw new RangeError('a nonce has 8 bytes');
  const mac = createHmac('sha256', key)
    .update(Buffer.concat([type, nonce, acknowledged]))
    .digest();
  return Buffer.concat([nonce, mac.subarray(0, MAC_BYTES)]);
}

const NOTHING = Buffer.alloc(0);

/** confirm: nonce(8) || first 24 bytes of HMAC-SHA-256(key, 0x01 || nonce). 32 bytes that look random. */
export function encodeConfirm(key: Uint8Array, nonce: Uint8Array): Buffer {
  return seal(key, nonce, TYPE_CONFIRM, NOTHING);
}

/**
 * confirm-ack: nonce(8) || first 24 bytes of HMAC-SHA-256(key, 0x02 || nonce || nonce of the confirm).
 * It names the confirm it answers, so it proves that this one arrived, whatever is replayed.
 */
export function encodeConfirmAck(key: Uint8Array, nonce: Uint8Array, confirmNonce: Uint8Array): Buffer {
  return seal(key, nonce, TYPE_ACK, confirmNonce);
}

/** A choice or its answer, as read. */
export interface Chosen {
  readonly nonce: Buffer;
  /** Where its sender sees us, if it says so. */
  readonly seen?: Endpoint;
}

/** nonce(8) || first 24 bytes of HMAC-SHA-256(key, type || nonce || other nonce || seen) || seen, masked; 32 or 50 bytes. */
function sealSeen(
  key: Uint8Array,
  nonce: Uint8Array,
  type: Buffer,
  other: Uint8Array,
  seen?: Endpoint,
): Buffer {
  if (!seen) return seal(key, nonce, type, other);
  const bytes = seenBytes(seen);
  const sealed = seal(key, nonce, type, Buffer.concat([other, bytes]));
  return Buffer.concat([sealed, maskSeen(key, nonce, bytes)]);
}

function openSeen(key: Uint8Array, data: Uint8Array, type: Buffer, other: Uint8Array): Chosen | undefined {
  const sealed = data.subarray(0, CONFIRM_FRAME_BYTES);
  const tail = data.subarray(CONFIRM_FRAME_BYTES);
  if (tail.length !== 0 && tail.length !== SEEN_BYTES) return undefined;
  const bytes = maskSeen(key, data.subarray(0, CONFIRM_NONCE_BYTES), tail);
  const nonce = fits(sealed, (found) => seal(key, found, type, Buffer.concat([other, bytes])));
  const seen = readSeen(bytes);
  return nonce && { nonce, ...(seen && { seen }) };
}

/**
 * choice: as {@link encodeConfirm} with type 0x03, and the nonce of the peer's confirm on this path behind its own.
 * The inviter says with it which of the paths that work becomes the passage, and where it sees the peer.
 */
export function encodeChoice(
  key: Uint8Array,
  nonce: Uint8Array,
  confirmNonce: Uint8Array,
  seen?: Endpoint,
): Buffer {
  return sealSeen(key, nonce, TYPE_CHOICE, confirmNonce, seen);
}

/** choice-ack: the same with type 0x04 and the nonce of the choice. */
export function encodeChoiceAck(
  key: Uint8Array,
  nonce: Uint8Array,
  choiceNonce: Uint8Array,
  seen?: Endpoint,
): Buffer {
  return sealSeen(key, nonce, TYPE_CHOICE_ACK, choiceNonce, seen);
}

function fits(data: Uint8Array, expected: (nonce: Uint8Array) => Buffer): Buffer | undefined {
  if (data.length !== CONFIRM_FRAME_BYTES) return undefined;
  const nonce = Buffer.from(data.subarray(0, CONFIRM_NONCE_BYTES));
  return timingSafeEqual(expected(nonce), data) ? nonce : undefined;
}

/** The nonce of a valid confirm made with `key`; undefined for anything else. */
export function decodeConfirm(key: Uint8Array, data: Uint8Array): Buffer | undefined {
  return fits(data, (nonce) => encodeConfirm(key, nonce));
}

/** Is this an acknowledgement, made with `key`, of the confirm that carried `confirmNonce`? */
export function isConfirmAck(key: Uint8Array, data: Uint8Array, confirmNonce: Uint8Array): boolean {
  return fits(data, (nonce) => encodeConfirmAck(key, nonce, confirmNonce)) !== undefined;
}

/** A choice, made with `key`, of the path on which our confirm carried `confirmNonce`; undefined for anything else. */
export function decodeChoice(
  key: Uint8Array,
  data: Uint8Array,
  confirmNonce: Uint8Array,
): Chosen | undefined {
  return openSeen(key, data, TYPE_CHOICE, confirmNonce);
}

/** An acknowledgement, made with `key`, of the choice that carried `choiceNonce`; undefined for anything else. */
export function decodeChoiceAck(
  key: Uint8Array,
  data: Uint8Array,
  choiceNonce: Uint8Array,
): Chosen | undefined {
  return openSeen(key, data, TYPE_CHOICE_ACK, choiceNonce);
}
