import { HANDSHAKE_FRAME_BYTES } from '../constants.js';

/** 0: "I am here"; 1: "I have heard you". */
export type HandshakeFlag = 0 | 1;

export interface HandshakeFrame {
  readonly flag: HandshakeFlag;
}

const RANDOM_BYTES = HANDSHAKE_FRAME_BYTES - 1;

/** Byte i is bits 8i to 8i+7 of the secret. */
function maskOf(secret: bigint): Buffer {
  const mask = Buffer.allocUnsafe(HANDSHAKE_FRAME_BYTES);
  mask.writeBigUInt64LE(BigInt.asUintN(64, secret));
  return mask;
}

/**
 * One 8-byte handshake datagram of plexus (spec f).
 * Plain: seven random bytes, bit 0 of the first replaced by `flag`, then the XOR of the seven.
 * On the wire byte i is XORed with bits 8i to 8i+7 of `secret` (puzzle XOR puzzle).
 * @param random 7 bytes; fresh ones make each frame distinct
 * @throws RangeError if `random` has another length
 */
export function encodeFrame(secret: bigint, flag: HandshakeFlag, random: Uint8Array): Buffer {
  if (random.length !== RANDOM_BYTES) throw new RangeError(`a frame takes ${RANDOM_BYTES} random bytes`);
  const frame = maskOf(secret);
  let check = 0;
  for (let index = 0; index < RANDOM_BYTES; index++) {
    const byte = random[index] ?? 0;
    const plain = index === 0 ? (byte & 0xfe) | flag : byte;
    check ^= plain;
    frame[index] = (frame[index] ?? 0) ^ plain;
  }
  frame[RANDOM_BYTES] = (frame[RANDOM_BYTES] ?? 0) ^ check;
  return frame;
}

/**
 * Reads what {@link encodeFrame} writes; undefined if the length or the check is wrong.
 * The check is 8 bits wide (spec i.6): one random datagram in 256 passes, so a valid frame is a hint, not a proof.
 */
export function decodeFrame(secret: bigint, data: Uint8Array): HandshakeFrame | undefined {
  if (data.length !== HANDSHAKE_FRAME_BYTES) return undefined;
  const mask = maskOf(secret);
  let check = 0;
  for (let index = 0; index < HANDSHAKE_FRAME_BYTES; index++)
    check ^= (data[index] ?? 0) ^ (mask[index] ?? 0);
  if (check !== 0) return undefined;
  return { flag: (((data[0] ?? 0) ^ (mask[0] ?? 0)) & 1) as HandshakeFlag };
}
