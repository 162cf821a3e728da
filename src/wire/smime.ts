import { type KeyObject, randomBytes, type X509Certificate } from 'node:crypto';
import { decodeBase64Body, type Entity, encodeBase64Lines, parseEntity, splitParts, toCrlf } from './mime.js';
import { undecryptable } from './rsa-transport.js';
import type { CipherName } from './smime-algorithms.js';
import { buildEnvelopedData, openEnvelopedData } from './smime-enveloped.js';
import {
  buildSignedData,
  checkSignedData,
  notPinned,
  type SignedClaims,
  type SignOptions,
} from './smime-signed.js';

const SIGNATURE_TYPES = ['application/x-pkcs7-signature', 'application/pkcs7-signature'];
const ENVELOPE_TYPES = ['application/x-pkcs7-mime', 'application/pkcs7-mime'];

export interface VerifiedMessage extends SignedClaims {
  /** The signed text, with CRLF line ends. */
  readonly text: Buffer;
}

/** True for the outer entity of a sealed message: what a rendezvous backend looks for in a mail. */
export function isEnvelope(entity: Entity): boolean {
  const kind = entity.type.parameters.get('smime-type');
  return (
    ENVELOPE_TYPES.includes(entity.type.value) &&
    (kind === undefined || kind.toLowerCase() === 'enveloped-data')
  );
}

/**
 * multipart/signed around bare `text`, laid out as OpenSSL's SMIME_write_PKCS7 does, CRLF (spec c.3 steps 1 and 2).
 * `attributes` is the DER that was signed.
 */
export function signMessage(text: string, options: SignOptions): { message: Buffer; attributes: Buffer } {
  const { der, attributes } = buildSignedData(toCrlf(Buffer.from(text)), options);
  const boundary = `----${randomBytes(16).toString('hex').toUpperCase()}`;
  const lines = [
    'MIME-Version: 1.0',
    `Content-Type: multipart/signed; protocol="${SIGNATURE_TYPES[0]}"; micalg="sha-256"; boundary="${boundary}"`,
    '',
    'This is an S/MIME signed message',
    '',
    `--${boundary}`,
    text,
    `--${boundary}`,
    `Content-Type: ${SIGNATURE_TYPES[0]}; name="smime.p7s"`,
    'Content-Transfer-Encoding: base64',
    'Content-Disposition: attachment; filename="smime.p7s"',
    '',
    encodeBase64Lines(der),
    `--${boundary}--`,
    '',
    '',
  ];
  return { message: toCrlf(Buffer.from(lines.join('\n'))), attributes };
}

/**
 * Opens a multipart/signed message that exactly `cert` signed. CRLF and LF line ends are the same to it.
 * Dates and authority of `cert` are the caller's to check.
 * @throws AwlError MESSAGE_NOT_PINNED, MESSAGE_MALFORMED, MESSAGE_TOO_LARGE, MESSAGE_UNSUPPORTED
 */
export function verifyMessage(message: Uint8Array, cert: X509Certificate): VerifiedMessage {
  const entity = parseEntity(message);
  if (entity.type.value !== 'multipart/signed') throw notPinned('the message is not signed');
  const parts = splitParts(entity);
  const [content, signaturePart] = parts;
  if (parts.length !== 2 || !content || !signaturePart) {
    throw notPinned(`the signed message has ${parts.length} parts instead of two`);
  }
  const signature = parseEntity(signaturePart);
  if (!SIGNATURE_TYPES.includes(signature.type.value)) throw notPinned('the second part is not a signature');
  const text = toCrlf(content);
  return { text, ...checkSignedData(decodeBase64Body(signature), text, cert) };
}

/**
 * Encrypts to `cert`, an RSA certificate: entity headers and base64, CRLF (spec c.3 steps 3 and 4).
 * @throws AwlError IDENTITY_INVALID
 */
export function encryptMessage(content: Uint8Array, cert: X509Certificate, cipher: CipherName): Buffer {
  const lines = [
    'MIME-Version: 1.0',
    'Content-Disposition: attachment; filename="smime.p7m"',
    `Content-Type: ${ENVELOPE_TYPES[0]}; smime-type=enveloped-data; name="smime.p7m"`,
    'Content-Transfer-Encoding: base64',
    '',
    encodeBase64Lines(buildEnvelopedData(toCrlf(content), cert, cipher)),
  ];
  return Buffer.from(lines.join('\r\n'), 'latin1');
}

/**
 * Decrypts an S/MIME entity; yields the MIME entity inside.
 * @throws AwlError MESSAGE_TOO_LARGE, MESSAGE_MALFORMED, MESSAGE_UNDECRYPTABLE, IDENTITY_INVALID
 */
export function decryptMessage(message: Uint8Array, cert: X509Certificate, key: KeyObject): Buffer {
  const entity = parseEntity(message);
  if (!isEnvelope(entity)) throw undecryptable();
  const content = openEnvelopedData(decodeBase64Body(entity), cert, key);
  try {
    parseEntity(content);
  } catch {
    // Garbage under a lucky padding must look like every other failure.
    throw undecryptable();
  }
  return content;
}
