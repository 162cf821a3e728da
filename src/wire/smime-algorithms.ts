import type { KeyObject, X509Certificate } from 'node:crypto';
import { EXTENSION_OID } from '../constants.js';
import { type Asn1, contextTag, encodeOid, isOid, malformedAsn1, readBer, sequence } from './asn1.js';

/** Content and attribute types, RFC 5652; as DER. */
export const OID = {
  data: encodeOid('1.2.840.113549.1.7.1'),
  signedData: encodeOid('1.2.840.113549.1.7.2'),
  envelopedData: encodeOid('1.2.840.113549.1.7.3'),
  contentType: encodeOid('1.2.840.113549.1.9.3'),
  messageDigest: encodeOid('1.2.840.113549.1.9.4'),
  signingTime: encodeOid('1.2.840.113549.1.9.5'),
  rsaEncryption: encodeOid('1.2.840.113549.1.1.1'),
  sha1: encodeOid('1.3.14.3.2.26'),
  extension: encodeOid(EXTENSION_OID),
} as const;

export type DigestName = 'sha256' | 'sha384' | 'sha512';

/** RFC 5754; SHA-1 and MD5 are missing on purpose. */
export const DIGESTS: readonly {
  readonly name: DigestName;
  readonly oid: Buffer;
  readonly rsa: Buffer;
  readonly ecdsa: Buffer;
}[] = [
  {
    name: 'sha256',
    oid: encodeOid('2.16.840.1.101.3.4.2.1'),
    rsa: encodeOid('1.2.840.113549.1.1.11'),
    ecdsa: encodeOid('1.2.840.10045.4.3.2'),
  },
  {
    name: 'sha384',
    oid: encodeOid('2.16.840.1.101.3.4.2.2'),
    rsa: encodeOid('1.2.840.113549.1.1.12'),
    ecdsa: encodeOid('1.2.840.10045.4.3.3'),
  },
  {
    name: 'sha512',
    oid: encodeOid('2.16.840.1.101.3.4.2.3'),
    rsa: encodeOid('1.2.840.113549.1.1.13'),
    ecdsa: encodeOid('1.2.840.10045.4.3.4'),
  },
];

export type CipherName = 'aes256' | 'aes192' | 'aes128' | 'des3';

/** Content ciphers that we open; we send `aes256` or `des3` (plexus' own). */
export const CIPHERS: readonly {
  readonly name: CipherName;
  readonly oid: Buffer;
  /** node:crypto's name. */
  readonly node: string;
  readonly keyBytes: number;
  readonly ivBytes: number;
}[] = [
  {
    name: 'aes256',
    oid: encodeOid('2.16.840.1.101.3.4.1.42'),
    node: 'aes-256-cbc',
    keyBytes: 32,
    ivBytes: 16,
  },
  {
    name: 'aes192',
    oid: encodeOid('2.16.840.1.101.3.4.1.22'),
    node: 'aes-192-cbc',
    keyBytes: 24,
    ivBytes: 16,
  },
  {
    name: 'aes128',
    oid: encodeOid('2.16.840.1.101.3.4.1.2'),
    node: 'aes-128-cbc',
    keyBytes: 16,
    ivBytes: 16,
  },
  { name: 'des3', oid: encodeOid('1.2.840.113549.3.7'), node: 'des-ede3-cbc', keyBytes: 24, ivBytes: 8 },
];

/** One of a table by the OID of an AlgorithmIdentifier. */
export function findAlgorithm<T extends { readonly oid: Buffer }>(
  table: readonly T[],
  algorithm: Asn1 | undefined,
): T | undefined {
  return table.find(({ oid }) => isOid(algorithm?.children[0], oid));
}

/** What signs or receives: awl knows RSA and, for signing only, EC keys. */
export function keyKind(key: KeyObject): 'rsa' | 'ec' | undefined {
  return key.asymmetricKeyType === 'rsa' || key.asymmetricKeyType === 'ec'
    ? key.asymmetricKeyType
    : undefined;
}

/** IssuerAndSerialNumber of a certificate as DER, RFC 5652 section 10.2.4: how messages name a certificate. */
export function issuerAndSerial(cert: X509Certificate): Buffer {
  const fields = readBer(cert.raw).children[0]?.children ?? [];
  // TBSCertificate begins with an optional [0] version, then serial, algorithm, issuer (RFC 5280 section 4.1).
  const at = fields[0]?.tag === contextTag(0) ? 1 : 0;
  const [serial, issuer] = [fields[at], fields[at + 2]];
  if (!serial || !issuer) throw malformedAsn1('a certificate without issuer');
  return sequence(issuer.raw, serial.raw);
}
