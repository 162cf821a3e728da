import { createHash, X509Certificate } from 'node:crypto';
import { AwlError } from '../errors.js';

/** A certificate as awl pins it: by its public key, not by its names. */
export interface Certificate {
  readonly x509: X509Certificate;
  /** The certificate alone, without text before or after it. */
  readonly pem: string;
  /** Lower-case hex SHA-256 of the SubjectPublicKeyInfo DER (the pin of RFC 7469 section 2.4). */
  readonly fingerprint: string;
}

// The labels that OpenSSL's PEM_read_bio_X509 and its -trustout form use.
const PEM_LABELS = ['CERTIFICATE', 'X509 CERTIFICATE', 'TRUSTED CERTIFICATE'];
/** NIST SP 800-131A: RSA below 2048 bits is disallowed. */
const RSA_MIN_BITS = 2048;

/** The first PEM block with one of the labels, as OpenSSL picks it: text around it and further blocks do not count. */
export function firstPemBlock(text: string, labels: readonly string[]): string | undefined {
  const starts = labels.map((label) => ({ label, at: text.indexOf(`-----BEGIN ${label}-----`) }));
  const first = starts.filter(({ at }) => at >= 0).sort((a, b) => a.at - b.at)[0];
  if (!first) return undefined;
  const tail = `-----END ${first.label}-----`;
  const end = text.indexOf(tail, first.at);
  return end < 0 ? undefined : `${text.slice(first.at, end)}${tail}\n`;
}

function invalid(message: string, hint: string, cause?: unknown): AwlError {
  return new AwlError('IDENTITY_INVALID', message, { hint, ...(cause === undefined ? {} : { cause }) });
}

/**
 * Reads a PEM certificate as OpenSSL does: text before it is skipped, of several the first counts.
 * @param what names the source in errors, for example its path
 * @throws AwlError IDENTITY_INVALID if there is none, it is broken, or its RSA key is shorter than 2048 bits
 */
export function parseCertificate(pem: string | Buffer, what: string): Certificate {
  const block = firstPemBlock(typeof pem === 'string' ? pem : pem.toString('latin1'), PEM_LABELS);
  if (!block) {
    throw invalid(
      `${what} holds no PEM certificate`,
      'it must have a block that begins with -----BEGIN CERTIFICATE-----; turn DER into PEM with: openssl x509 -inform DER -in FILE -out cert.crt',
    );
  }
  let x509: X509Certificate;
  let spki: Buffer;
  try {
    x509 = new X509Certificate(block);
    spki = x509.publicKey.export({ type: 'spki', format: 'der' });
  } catch (cause) {
    throw invalid(
      `${what} holds a broken certificate`,
      'ask for the file again, or make a new identity',
      cause,
    );
  }
  const bits = x509.publicKey.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < RSA_MIN_BITS) {
    throw invalid(
      `${what} has an RSA key of ${bits} bits`,
      `keys shorter than ${RSA_MIN_BITS} bits can be broken; make a new identity with: awl id init owner/pin`,
    );
  }
  return { x509, pem: x509.toString(), fingerprint: createHash('sha256').update(spki).digest('hex') };
}

/** Not before and not after, in UTC. */
export function validityOf(cert: Certificate): { readonly from: Date; readonly to: Date } {
  return { from: new Date(cert.x509.validFrom), to: new Date(cert.x509.validTo) };
}

function day(date: Date): string {
  return Number.isNaN(date.getTime()) ? 'an unreadable date' : date.toISOString().slice(0, 10);
}

/** @throws AwlError IDENTITY_EXPIRED if `now` lies outside the certificate's dates */
export function checkValidity(cert: Certificate, now: Date, what: string): void {
  const { from, to } = validityOf(cert);
  if (now >= from && now <= to) return;
  if (now < from) {
    throw new AwlError('IDENTITY_EXPIRED', `${what} is not valid before ${day(from)}; today is ${day(now)}`, {
      hint: 'set the clock of this machine, or of the one that made the certificate',
    });
  }
  throw new AwlError('IDENTITY_EXPIRED', `${what} was valid until ${day(to)}; today is ${day(now)}`, {
    hint: 'its owner makes a new one (move the old folder away, then: awl id init owner/pin) and sends it; the others take it with: awl id trust FILE --replace',
  });
}

/**
 * Checks one level: `cert` was issued and signed by `ca`, `ca` may issue certificates, both are valid now.
 * A certificate that is its own authority is fine, as OpenSSL has it with a self-signed one in ca.crt.
 * @throws AwlError IDENTITY_UNTRUSTED, IDENTITY_EXPIRED
 */
export function checkIssuedBy(cert: Certificate, ca: Certificate, now: Date): void {
  const subject = oneLine(cert.x509.subject);
  const issuer = oneLine(ca.x509.subject);
  const same = cert.x509.raw.equals(ca.x509.raw);
  const untrusted = (message: string) =>
    new AwlError('IDENTITY_UNTRUSTED', message, {
      hint: 'put the certificate of the authority that issued it into ca.crt, or remove ca.crt to rely on the pinned certificate alone',
    });
  if (!same && !ca.x509.ca)
    throw untrusted(`the certificate in ca.crt (${issuer}) is not one of an authority`);
  if (!same && !cert.x509.checkIssued(ca.x509)) {
    throw untrusted(`the certificate of ${subject} was not issued by the authority in ca.crt (${issuer})`);
  }
  if (!verifies(cert, ca)) {
    throw untrusted(`the certificate of ${subject} does not bear the signature of ${issuer}`);
  }
  checkValidity(ca, now, `the authority ${issuer}`);
  checkValidity(cert, now, `the certificate of ${subject}`);
}

function verifies(cert: Certificate, ca: Certificate): boolean {
  try {
    return cert.x509.verify(ca.x509.publicKey);
  } catch {
    // A key of another kind than the signature is an exception in OpenSSL, not a "no".
    return false;
  }
}

/** Names in certificates are their makers' text: one short line of it, without anything that drives a terminal. */
function oneLine(subject: string): string {
  if (!subject) return 'without a name';
  const line = subject.replaceAll('\n', ', ').replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
  return line.length > 100 ? `${line.slice(0, 100)}...` : line;
}

/** True if sealed messages can be encrypted to this certificate: the key transport of plexus' S/MIME is RSA. */
export function canReceive(cert: Certificate): boolean {
  return cert.x509.publicKey.asymmetricKeyType === 'rsa';
}

/** DER SubjectPublicKeyInfo: what a fingerprint is the SHA-256 of, and what DHTs know an identity by. */
export function publicKeyInfo(cert: Certificate): Buffer {
  return cert.x509.publicKey.export({ type: 'spki', format: 'der' });
}

/** The fingerprint in sixteen groups of four, for people to compare aloud. */
export function formatFingerprint(fingerprint: string): string {
  return fingerprint.replace(/(.{4})(?=.)/g, '$1 ');
}
