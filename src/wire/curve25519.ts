import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';

/** DER around the 32 bytes of a key (RFC 8410 sections 4, 7 and 10). */
const FRAMES = {
  ed25519: {
    spki: Buffer.from('302a300506032b6570032100', 'hex'),
    pkcs8: Buffer.from('302e020100300506032b657004220420', 'hex'),
  },
  x25519: {
    spki: Buffer.from('302a300506032b656e032100', 'hex'),
    pkcs8: Buffer.from('302e020100300506032b656e04220420', 'hex'),
  },
} as const;

export type Curve = keyof typeof FRAMES;

/** DER SubjectPublicKeyInfo of a key of 32 bytes. */
export function curveSpki(curve: Curve, raw: Uint8Array): Buffer {
  return Buffer.concat([FRAMES[curve].spki, raw]);
}

/** @throws Error if `raw` is no key, by its length or what OpenSSL says */
export function curvePublic(curve: Curve, raw: Uint8Array): KeyObject {
  return createPublicKey({ key: curveSpki(curve, raw), format: 'der', type: 'spki' });
}

/** @param raw the 32 bytes of a private key, for Ed25519 its seed */
export function curvePrivate(curve: Curve, raw: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([FRAMES[curve].pkcs8, raw]), format: 'der', type: 'pkcs8' });
}

/** The 32 bytes of a key's public half. */
export function curveRaw(curve: Curve, key: KeyObject): Buffer {
  const half = key.type === 'private' ? createPublicKey(key) : key;
  return half.export({ format: 'der', type: 'spki' }).subarray(FRAMES[curve].spki.length);
}
