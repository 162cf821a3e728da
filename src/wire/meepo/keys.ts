import { createHash, diffieHellman, randomBytes, sign, verify } from 'node:crypto';
import { curvePrivate, curvePublic, curveRaw, curveSpki } from '../curve25519.js';
import { formatMeepoId } from './id.js';

const P = (1n << 255n) - 19n;
const SIGNATURE_BYTES = 64;

/** A node's identity: an Ed25519 key pair and the name that it gives. */
export interface MeepoKeys {
  readonly id: string;
  readonly publicKey: Buffer;
  /** Empty where an ssh-agent has it. */
  readonly seed: Buffer;
  /** Signs in the place of the seed. */
  readonly signer?: (message: Buffer) => Promise<Buffer>;
}

/** DER SubjectPublicKeyInfo of a node's key. */
export function meepoSpki(publicKey: Uint8Array): Buffer {
  return curveSpki('ed25519', publicKey);
}

/** The key pair of a 32-byte seed; a new one without it. */
export function meepoKeys(seed: Buffer = randomBytes(32)): MeepoKeys {
  const publicKey = curveRaw('ed25519', curvePrivate('ed25519', seed));
  return { id: formatMeepoId(publicKey), publicKey, seed };
}

/** Ed25519 signature, 64 bytes. */
export function meepoSign(seed: Uint8Array, message: Uint8Array): Buffer {
  return sign(null, message, curvePrivate('ed25519', seed));
}

/** The same by whoever has the private half. @throws AwlError as its agent */
export async function signBy({ seed, signer }: MeepoKeys, message: Buffer): Promise<Buffer> {
  return signer ? signer(message) : meepoSign(seed, message);
}

/** Never throws, whatever the key and signature hold. */
export function meepoVerify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false;
  try {
    return verify(null, message, curvePublic('ed25519', publicKey), signature);
  } catch {
    return false;
  }
}

function mod(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = mod(base);
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

/** u = (1+y)/(1-y), the same point on the Montgomery curve (RFC 7748 section 4.1); the sign of x is lost. */
export function montgomeryPublic(edPublicKey: Uint8Array): Buffer {
  const y = BigInt(`0x${Buffer.from(edPublicKey).reverse().toString('hex')}`) & ((1n << 255n) - 1n);
  const u = mod((1n + y) * power(mod(1n - y), P - 2n));
  return Buffer.from(u.toString(16).padStart(64, '0'), 'hex').reverse();
}

/** SHA-512 of the seed, first half, clamped (RFC 8032 section 5.1.5). */
export function montgomeryPrivate(seed: Uint8Array): Buffer {
  const half = createHash('sha512').update(seed).digest().subarray(0, 32);
  half[0]! &= 248;
  half[31]! &= 127;
  half[31]! |= 64;
  return half;
}

/**
 * X25519 of both Ed25519 keys, 32 bytes; Meepo uses it as the AES key as it is.
 * @throws Error for a peer key of small order
 */
export function meepoShared(peerPublicKey: Uint8Array, seed: Uint8Array): Buffer {
  return diffieHellman({
    privateKey: curvePrivate('x25519', montgomeryPrivate(seed)),
    publicKey: curvePublic('x25519', montgomeryPublic(peerPublicKey)),
  });
}
