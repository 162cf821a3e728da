import {
  constants,
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from 'node:crypto';
import { isAwlError } from '../errors.js';
import { PKCS1_OVERHEAD, requireRsa, undecryptable, unwrapKey, unwrapText } from './rsa-transport.js';

const AES_KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Octets of the modulus: what one RSA block takes and fills. */
function modulusBytes(key: KeyObject): number {
  return Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8);
}

/**
 * OpenDHT's encryption of a blob (spec opendht 6.4): one RSAES-PKCS1-v1_5 block if it fits, else the block holds an
 * AES-256 key, and IV (12), AES-GCM ciphertext and tag (16) follow.
 * @throws AwlError IDENTITY_INVALID if the key is not RSA
 */
export function encryptBlob(plain: Uint8Array, to: KeyObject): Buffer {
  requireRsa(to, "the peer's certificate");
  const block = (data: Uint8Array) =>
    publicEncrypt({ key: to, padding: constants.RSA_PKCS1_PADDING }, Buffer.from(data));
  if (plain.length <= modulusBytes(to) - PKCS1_OVERHEAD) return block(plain);
  const key = randomBytes(AES_KEY_BYTES);
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  return Buffer.concat([block(key), iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/**
 * Opens what {@link encryptBlob} or libopendht made for our key. Bad padding of the short form yields noise, not an
 * error (see unwrapText): the caller must refuse it like any other wrong text.
 * @throws AwlError MESSAGE_UNDECRYPTABLE for everything that is wrong; IDENTITY_INVALID if our key is not RSA
 */
export function decryptBlob(blob: Buffer, key: KeyObject): Buffer {
  requireRsa(key, 'our identity');
  const size = modulusBytes(createPublicKey(key));
  try {
    if (blob.length === size) return unwrapText(key, blob);
    const body = blob.length - TAG_BYTES;
    if (body < size + IV_BYTES) throw undecryptable();
    // libopendht takes the longest AES key that fits, and RSA keys of 2048 bits and more always fit 32 octets.
    const contentKey = unwrapKey(key, blob.subarray(0, size), AES_KEY_BYTES);
    const cipher = createDecipheriv('aes-256-gcm', contentKey, blob.subarray(size, size + IV_BYTES));
    cipher.setAuthTag(blob.subarray(body));
    return Buffer.concat([cipher.update(blob.subarray(size + IV_BYTES, body)), cipher.final()]);
  } catch (error) {
    if (isAwlError(error)) throw error;
    throw undecryptable();
  }
}
