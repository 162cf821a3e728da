import { createHash, type KeyObject, sign, verify, type X509Certificate } from 'node:crypto';
import { AwlError } from '../errors.js';
import {
  type Asn1,
  contextTag,
  decodeTime,
  der,
  encodeTime,
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
import {
  DIGESTS,
  type DigestName,
  findAlgorithm,
  issuerAndSerial,
  keyKind,
  OID,
} from './smime-algorithms.js';

/** What a signature says besides the text. */
export interface SignedClaims {
  readonly signedAt?: Date;
  /** UTF-8 octets of our extension attribute, if there. */
  readonly extension?: Buffer;
  /** DER of the signed attributes, a SET OF: exactly the bytes that the signature covers. */
  readonly attributes: Buffer;
}

export interface SignOptions {
  readonly cert: X509Certificate;
  readonly key: KeyObject;
  readonly signedAt: Date;
  readonly extension?: Uint8Array;
}

const NULL = der(TAG.NULL);
const SHA256 = DIGESTS[0]!;

/** The message may be honest, but nothing shows that the pinned peer wrote it. */
export function notPinned(what: string): AwlError {
  return new AwlError('MESSAGE_NOT_PINNED', what, {
    hint: 'only a message that the pinned certificate signed counts; if the peer has a new certificate, take it with: awl id trust FILE',
  });
}

/**
 * A detached SignedData over `content` with one signer and no certificates (spec c.3), RFC 5652 section 5.
 * Signed attributes: contentType, signingTime, messageDigest and, if given, the extension.
 * @throws AwlError IDENTITY_INVALID if the key is neither RSA nor EC
 */
export function buildSignedData(content: Buffer, options: SignOptions): { der: Buffer; attributes: Buffer } {
  const { cert, key, signedAt, extension } = options;
  const kind = keyKind(key);
  if (!kind) {
    throw new AwlError('IDENTITY_INVALID', `a key of type ${key.asymmetricKeyType} cannot sign messages`, {
      hint: 'make an RSA identity with: awl id init owner/pin',
    });
  }
  const attributes = setOf(
    sequence(OID.contentType, setOf(OID.data)),
    sequence(OID.signingTime, setOf(encodeTime(signedAt))),
    sequence(
      OID.messageDigest,
      setOf(der(TAG.OCTET_STRING, createHash(SHA256.name).update(content).digest())),
    ),
    ...(extension ? [sequence(OID.extension, setOf(der(TAG.UTF8_STRING, extension)))] : []),
  );
  const implicit = Buffer.from(attributes);
  implicit[0] = contextTag(0);
  const signerInfo = sequence(
    smallInteger(1),
    issuerAndSerial(cert),
    sequence(SHA256.oid, NULL),
    implicit,
    kind === 'ec' ? sequence(SHA256.ecdsa) : sequence(OID.rsaEncryption, NULL),
    der(TAG.OCTET_STRING, sign(SHA256.name, attributes, key)),
  );
  const signedData = sequence(
    smallInteger(1),
    setOf(sequence(SHA256.oid, NULL)),
    sequence(OID.data),
    setOf(signerInfo),
  );
  return { der: sequence(OID.signedData, der(contextTag(0), signedData)), attributes };
}

/**
 * Checks a detached SignedData against exactly one certificate. Certificates inside the message are never used
 * (RELIABILITY F1): the signer must be named by issuer and serial of `cert`, and `cert`'s key must have signed.
 * @throws AwlError MESSAGE_NOT_PINNED, MESSAGE_MALFORMED, MESSAGE_UNSUPPORTED (weak digest), IDENTITY_INVALID
 */
export function checkSignedData(p7: Buffer, content: Buffer, cert: X509Certificate): SignedClaims {
  const [type, wrapped] = members(readBer(p7), TAG.SEQUENCE, 'ContentInfo');
  if (!isOid(type, OID.signedData)) throw notPinned('the message holds no signature');
  const signedData = members(members(wrapped, contextTag(0), 'SignedData')[0], TAG.SEQUENCE, 'SignedData');
  const inner = members(signedData[2], TAG.SEQUENCE, 'encapContentInfo');
  // A second copy of the content inside the signature could differ from the one that is read.
  if (inner.length !== 1) throw notPinned('the signature is not a detached one');
  const infos = members(signedData.at(-1), TAG.SET, 'SignerInfos');
  if (infos.length !== 1) throw notPinned(`the message has ${infos.length} signers instead of one`);
  const [, signer, digestAlgorithm, attributes, algorithm, signature] = members(
    infos[0],
    TAG.SEQUENCE,
    'SignerInfo',
  );
  if (!signer?.raw.equals(issuerAndSerial(cert)))
    throw notPinned('another certificate than the pinned one signed');
  const digest = findAlgorithm(DIGESTS, digestAlgorithm);
  if (!digest) {
    const weak = isOid(digestAlgorithm?.children[0], OID.sha1) ? 'SHA-1' : 'an unknown digest';
    throw new AwlError('MESSAGE_UNSUPPORTED', `the message is signed with ${weak}`, {
      hint: 'the peer must sign with SHA-256, SHA-384 or SHA-512; plexus does',
    });
  }
  if (attributes?.tag !== contextTag(0)) throw notPinned('the signature has no signed attributes');
  checkAlgorithm(cert, digest, algorithm);
  const signed = Buffer.from(attributes.raw);
  signed[0] = TAG.SET;
  if (!verifies(digest.name, signed, cert, octetString(signature, TAG.OCTET_STRING, 'signature'))) {
    throw notPinned('the signature is not by the pinned certificate, or the message was changed');
  }
  return readAttributes(attributes.children, digest.name, content, signed);
}

function checkAlgorithm(
  cert: X509Certificate,
  digest: (typeof DIGESTS)[number],
  algorithm: Asn1 | undefined,
): void {
  const kind = keyKind(cert.publicKey);
  if (!kind) {
    throw new AwlError(
      'IDENTITY_INVALID',
      `the peer's key of type ${cert.publicKey.asymmetricKeyType} is not usable`,
      {
        hint: 'the peer needs an RSA identity; it can make one with: awl id init owner/pin',
      },
    );
  }
  const fitting = kind === 'rsa' ? [OID.rsaEncryption, digest.rsa] : [digest.ecdsa];
  if (!fitting.some((oid) => isOid(algorithm?.children[0], oid))) {
    throw notPinned('the signature is of another kind than the pinned key makes');
  }
}

function verifies(digest: DigestName, signed: Buffer, cert: X509Certificate, signature: Buffer): boolean {
  try {
    return verify(digest, signed, cert.publicKey, signature);
  } catch {
    return false;
  }
}

/** The attributes are the peer's word from here on: the signature over them has been verified. */
function readAttributes(
  attributes: readonly Asn1[],
  digest: DigestName,
  content: Buffer,
  signed: Buffer,
): SignedClaims {
  const values = new Map<string, Asn1>();
  for (const attribute of attributes) {
    const [type, set, ...more] = members(attribute, TAG.SEQUENCE, 'attribute');
    const all = members(set, TAG.SET, 'attribute values');
    const key = type?.raw.toString('hex') ?? '';
    if (values.has(key) || more.length > 0 || all.length !== 1)
      throw notPinned('a signed attribute is there twice');
    values.set(key, all[0]!);
  }
  const find = (oid: Buffer) => values.get(oid.toString('hex'));
  if (!isOid(find(OID.contentType), OID.data)) throw notPinned('the signature is not over plain data');
  const expected = createHash(digest).update(content).digest();
  if (!octets(find(OID.messageDigest), TAG.OCTET_STRING, 'messageDigest').equals(expected)) {
    throw notPinned('the text is not the one that was signed');
  }
  const time = find(OID.signingTime);
  const extension = find(OID.extension);
  return {
    ...(time && { signedAt: decodeTime(time) }),
    ...(extension && { extension: octets(extension, TAG.UTF8_STRING, 'extension') }),
    attributes: signed,
  };
}
