import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { type Curve, curvePrivate, curvePublic, curveRaw, curveSpki } from '../../../src/wire/curve25519.js';

test.each<Curve>(['ed25519', 'x25519'])(
  'a key of %s and its 32 bytes are the same, as OpenSSL has them',
  (curve) => {
    const { privateKey, publicKey } =
      curve === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('x25519');
    const jwk = privateKey.export({ format: 'jwk' });
    const [raw, seed] = [jwk.x, jwk.d].map((text) => Buffer.from(text ?? '', 'base64url'));
    if (!raw || !seed) throw new Error('no key');
    expect(curveRaw(curve, publicKey)).toEqual(raw);
    expect(curveRaw(curve, privateKey)).toEqual(raw);
    expect(curvePublic(curve, raw).equals(publicKey)).toBe(true);
    expect(createPublicKey(curvePrivate(curve, seed)).equals(publicKey)).toBe(true);
    expect(curveSpki(curve, raw)).toEqual(publicKey.export({ type: 'spki', format: 'der' }));
    expect(() => curvePublic(curve, raw.subarray(1))).toThrow();
  },
);
