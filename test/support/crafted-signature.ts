import { createHash, sign } from 'node:crypto';
import type { HostIdentity } from '../../src/identity/repository.js';
import {
  contextTag,
  der,
  encodeOid,
  encodeTime,
  sequence,
  setOf,
  smallInteger,
  TAG,
} from '../../src/wire/asn1.js';
import { encodeBase64Lines, toCrlf } from '../../src/wire/mime.js';
import { encryptMessage } from '../../src/wire/smime.js';
import { issuerAndSerial, OID } from '../../src/wire/smime-algorithms.js';
import { CAPTURED_AT } from './parties.js';

type Digest = 'sha1' | 'sha256' | 'sha512';

const DIGEST_OID: Readonly<Record<Digest, Buffer>> = {
  sha1: OID.sha1,
  sha256: encodeOid('2.16.840.1.101.3.4.2.1'),
  sha512: encodeOid('2.16.840.1.101.3.4.2.3'),
};
const NULL = der(TAG.NULL);

/** One SignerInfo and what is odd about it. */
export interface CraftedSigner {
  readonly by: HostIdentity;
  /** Whose issuer and serial stand in it; default: `by`. */
  readonly named?: HostIdentity;
  readonly digest?: Digest;
  readonly signedAt?: Date;
  /** Signed attributes; undefined: the usual three; []: none at all. */
  readonly attributes?: readonly Buffer[];
  readonly algorithm?: Buffer;
}

export interface CraftedMessage {
  readonly text: string;
  readonly signers: readonly CraftedSigner[];
  /** Certificates put inside the signature. */
  readonly certificates?: readonly HostIdentity[];
  /** A copy of other content inside the signature. */
  readonly attached?: string;
}

export function attribute(type: Buffer, ...values: readonly Buffer[]): Buffer {
  return sequence(type, der(TAG.SET, ...values));
}

/** The attributes that an honest signer writes. */
export function usualAttributes(text: string, digest: Digest = 'sha256', signedAt = CAPTURED_AT): Buffer[] {
  const content = toCrlf(Buffer.from(text));
  return [
    attribute(OID.contentType, OID.data),
    attribute(OID.signingTime, encodeTime(signedAt)),
    attribute(OID.messageDigest, der(TAG.OCTET_STRING, createHash(digest).update(content).digest())),
  ];
}

function signerInfo(text: string, signer: CraftedSigner): Buffer {
  const { by, named = by, digest = 'sha256' } = signer;
  const attributes = signer.attributes ?? usualAttributes(text, digest, signer.signedAt);
  const set = setOf(...attributes);
  const implicit = Buffer.from(set);
  implicit[0] = contextTag(0);
  const covered = attributes.length > 0 ? set : toCrlf(Buffer.from(text));
  return sequence(
    smallInteger(1),
    issuerAndSerial(named.cert.x509),
    sequence(DIGEST_OID[digest], NULL),
    ...(attributes.length > 0 ? [implicit] : []),
    signer.algorithm ?? sequence(OID.rsaEncryption, NULL),
    der(TAG.OCTET_STRING, sign(digest, covered, by.key)),
  );
}

/** A SignedData as an attacker who knows the format would write it. */
export function craftSignedData({ text, signers, certificates, attached }: CraftedMessage): Buffer {
  const signedData = sequence(
    smallInteger(1),
    setOf(...signers.map(({ digest = 'sha256' }) => sequence(DIGEST_OID[digest], NULL))),
    sequence(
      OID.data,
      ...(attached === undefined ? [] : [der(contextTag(0), der(TAG.OCTET_STRING, Buffer.from(attached)))]),
    ),
    ...(certificates ? [der(contextTag(0), ...certificates.map(({ cert }) => cert.x509.raw))] : []),
    der(TAG.SET, ...signers.map((signer) => signerInfo(text, signer))),
  );
  return sequence(OID.signedData, der(contextTag(0), signedData));
}

/** multipart/signed around a signature; `parts` more are put between text and signature. */
export function wrapSigned(text: string, p7: Buffer, parts: readonly string[] = [], boundary = 'b'): Buffer {
  const lines = [
    `Content-Type: multipart/signed; protocol="application/x-pkcs7-signature"; boundary="${boundary}"`,
    '',
    `--${boundary}`,
    text,
    ...parts.flatMap((part) => [`--${boundary}`, part]),
    `--${boundary}`,
    'Content-Type: application/x-pkcs7-signature',
    'Content-Transfer-Encoding: base64',
    '',
    encodeBase64Lines(p7),
    `--${boundary}--`,
    '',
  ];
  return toCrlf(Buffer.from(lines.join('\n')));
}

/** A crafted message encrypted to `to`: what the rendezvous would bring. */
export function craftSealed(to: HostIdentity, message: CraftedMessage): { form: 'smime'; bytes: Buffer } {
  const signed = wrapSigned(message.text, craftSignedData(message));
  return { form: 'smime', bytes: encryptMessage(signed, to.cert.x509, 'aes256') };
}
