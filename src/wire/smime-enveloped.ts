import {
  constants,
  createCipheriv,
  createDecipheriv,
  type KeyObject,
  publicEncrypt,
  randomBytes,
  type X509Certificate,
} from 'node:crypto';
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
import { requireRsa, undecryptable, unwrapKey } from './rsa-transport.js';
import { CIPHERS, type CipherName, findAlgorithm, issuerAndSerial, OID } from './smime-algorithms.js';

/** `[0] IMPLICIT OCTET STRING`, primitive form. */
const ENCRYPTED_CONTENT = 0x80;
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
