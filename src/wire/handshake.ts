import { HANDSHAKE_FRAME_BYTES } from '../constants.js';

/** 0: "I am here"; 1: "I have heard you". */
export type HandshakeFlag = 0 | 1;

export interface HandshakeFrame {
  readonly flag: HandshakeFlag;
}

const RANDOM_BYTES = HANDSHAKE_FRAME_BYTES - 1;

function maskByte(secret: bigint, index: number): number {
  return Number((secret >> BigInt(8 * index)) & 0xffn);
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
  const frame = Buffer.alloc(HANDSHAKE_FRAME_BYTES);
  let check = 0;
  for (const [index, byte] of random.entries()) {
    const plain = index === 0 ? (byte & 0xfe) | flag : byte;
    check ^= plain;
    frame[index] = plain ^ maskByte(secret, index);
  }
  frame[RANDOM_BYTES] = check ^ maskByte(secret, RANDOM_BYTES);
  return frame;
}

/**
 * Reads what {@link encodeFrame} writes; undefined if the length or the check is wrong.
 * The check is 8 bits wide (spec i.6): one random datagram in 256 passes, so a valid frame is a hint, not a proof.
 */
export function decodeFrame(secret: bigint, data: Uint8Array): HandshakeFrame | undefined {
  if (data.length !== HANDSHAKE_FRAME_BYTES) return undefined;
  let check = 0;
  for (const [index, byte] of data.entries()) check ^= byte ^ maskByte(secret, index);
  if (check !== 0) return undefined;
  return { flag: (((data[0] ?? 0) ^ maskByte(secret, 0)) & 1) as HandshakeFlag };
}
