import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  randomBytes,
  type X509Certificate,
} from 'node:crypto';
import { AwlError } from '../errors.js';
import {
  contextTag,
  der,
  isOid,
  members,
  octetString,
  octets,
  readBer,
  sequence,
  setOf,
  smallInteger,
  TAG,
} from './asn1.js';
import { CIPHERS, type CipherName, findAlgorithm, issuerAndSerial, OID } from './smime-algorithms.js';

/** `[0] IMPLICIT OCTET STRING`, primitive form. */
const ENCRYPTED_CONTENT = 0x80;
/** Padding of PKCS#1 v1.5 is at least 11 octets, RFC 8017 section 7.2.1. */
const PKCS1_OVERHEAD = 11;

/** The one answer to whatever goes wrong with a key in hand: a reader that tells more is an oracle. */
export function undecryptable(): AwlError {
  return new AwlError('MESSAGE_UNDECRYPTABLE', 'the message cannot be decrypted with our key', {
    hint: 'the peer may hold an old certificate of ours; send it the present one with: awl id export',
  });
}

function requireRsa(key: KeyObject, whose: string): void {
  if (key.asymmetricKeyType === 'rsa') return;
  throw new AwlError(
    'IDENTITY_INVALID',
    `${whose} has a key of type ${key.asymmetricKeyType}; only RSA can receive`,
    {
      hint: 'make an RSA identity with: awl id init owner/pin',
    },
  );
}

/**
 * EnvelopedData to one RSA recipient, DER, RFC 5652 section 6 (spec c.3; plexus reads it).
 * @throws AwlError IDENTITY_INVALID if the recipient's key is not RSA
 */
export function buildEnvelopedData(content: Buffer, cert: X509Certificate, name: CipherName): Buffer {
  requireRsa(cert.publicKey, "the peer's certificate");
  const cipher = CIPHERS.find((entry) => entry.name === name)!;
  const key = randomBytes(cipher.keyBytes);
  const iv = randomBytes(cipher.ivBytes);
  const encryption = createCipheriv(cipher.node, key, iv);
  const encrypted = Buffer.concat([encryption.update(content), encryption.final()]);
  const recipient = sequence(
    smallInteger(0),
    issuerAndSerial(cert),
    sequence(OID.rsaEncryption, der(TAG.NULL)),
    der(TAG.OCTET_STRING, publicEncrypt({ key: cert.publicKey, padding: constants.RSA_PKCS1_PADDING }, key)),
  );
  const contentInfo = sequence(
    OID.data,
    sequence(cipher.oid, der(TAG.OCTET_STRING, iv)),
    der(ENCRYPTED_CONTENT, encrypted),
  );
  return sequence(
    OID.envelopedData,
    der(contextTag(0), sequence(smallInteger(0), setOf(recipient), contentInfo)),
  );
}

/**
 * Opens an EnvelopedData, DER or BER, that names `cert` as recipient exactly once.
 * @throws AwlError MESSAGE_MALFORMED before a key is touched, MESSAGE_UNDECRYPTABLE for everything after;
 *   IDENTITY_INVALID if our key is not RSA
 */
export function openEnvelopedData(p7: Buffer, cert: X509Certificate, key: KeyObject): Buffer {
  requireRsa(key, 'our identity');
  const [type, wrapped] = members(readBer(p7), TAG.SEQUENCE, 'ContentInfo');
  if (!isOid(type, OID.envelopedData)) throw undecryptable();
  const fields = members(members(wrapped, contextTag(0), 'EnvelopedData')[0], TAG.SEQUENCE, 'EnvelopedData');
  const recipientsAt = fields[1]?.tag === contextTag(0) ? 2 : 1;
  const us = issuerAndSerial(cert);
  const recipients = members(fields[recipientsAt], TAG.SET, 'RecipientInfos').filter(({ children }) =>
    children[1]?.raw.equals(us),
  );
  // More than one would make us try keys as often as the sender likes.
  if (recipients.length !== 1) throw undecryptable();
  const [, , transport, wrappedKey] = members(recipients[0], TAG.SEQUENCE, 'RecipientInfo');
  const [dataType, algorithm, content] = members(
    fields[recipientsAt + 1],
    TAG.SEQUENCE,
    'EncryptedContentInfo',
  );
  const cipher = findAlgorithm(CIPHERS, algorithm);
  if (!cipher || !isOid(dataType, OID.data) || !isOid(transport?.children[0], OID.rsaEncryption))
    throw undecryptable();
  const iv = octets(algorithm?.children[1], TAG.OCTET_STRING, 'initialisation vector');
  const encryptedKey = octetString(wrappedKey, TAG.OCTET_STRING, 'encrypted key');
  const encrypted = octetString(content, ENCRYPTED_CONTENT, 'encrypted content');
  try {
    const contentKey = unwrapKey(key, encryptedKey, cipher.keyBytes);
    const decryption = createDecipheriv(cipher.node, contentKey, iv);
    return Buffer.concat([decryption.update(encrypted), decryption.final()]);
  } catch {
    throw undecryptable();
  }
}

/**
 * RSAES-PKCS1-v1_5 by hand with implicit rejection: Node 20 refuses the padding (CVE-2023-46809), and a reader that
 * tells bad padding from a bad key is Bleichenbacher's oracle. Bad padding yields a key that depends on our private
 * key and the ciphertext only, so that repeating a ciphertext shows nothing either.
 */
export function unwrapKey(key: KeyObject, wrapped: Buffer, length: number): Buffer {
  const block = privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, wrapped);
  const separator = block.length - length - 1;
  if (separator < PKCS1_OVERHEAD - 1) throw undecryptable();
  const seed = createHash('sha256')
    .update(key.export({ type: 'pkcs8', format: 'der' }))
    .digest();
  const substitute = createHmac('sha256', seed).update(wrapped).digest();
  let bad = block[0]! | (block[1]! ^ 2) | block[separator]!;
  for (let i = 2; i < separator; i++) bad |= ((block[i]! - 1) >>> 8) & 1;
  const mask = -((bad | -bad) >>> 31);
  const out = Buffer.alloc(length);
  for (let i = 0; i < length; i++) out[i] = (block[separator + 1 + i]! & ~mask) | (substitute[i]! & mask);
  block.fill(0);
  return out;
}
