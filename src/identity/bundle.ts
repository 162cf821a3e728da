import { IDENTITY_FILE_MAX_BYTES } from '../constants.js';
import { AwlError } from '../errors.js';
import { formatName, type IdentityName, parseName } from './names.js';
import { type Certificate, formatFingerprint, parseCertificate } from './x509.js';

const NAME_LINE = 'awl-identity:';
const FINGERPRINT_LINE = 'awl-fingerprint:';
const PEM_BEGIN = '-----BEGIN ';

/** What one person hands to another: who it is and the certificate; never a private key. */
export interface Bundle {
  /** Undefined in a plain certificate file. */
  readonly name: IdentityName | undefined;
  readonly cert: Certificate;
}

function bad(message: string, hint: string): AwlError {
  return new AwlError('IDENTITY_INVALID', message, { hint });
}

/** The bundle as text: two header lines and the PEM certificate. It is public; its fingerprint is to be compared. */
export function encodeBundle(name: IdentityName, cert: Certificate): string {
  return [
    `${NAME_LINE} ${formatName(name)}`,
    `${FINGERPRINT_LINE} ${formatFingerprint(cert.fingerprint)}`,
    cert.pem.trimEnd(),
    '',
  ].join('\n');
}

/**
 * Reads a bundle, or a plain PEM certificate. Text around it, mail quoting ("> ") and CRLF do not matter.
 * @param what names the source in errors
 * @throws AwlError IDENTITY_INVALID, IDENTITY_NAME; IDENTITY_UNSAFE if a private key is in it
 */
export function decodeBundle(text: string, what: string): Bundle {
  if (Buffer.byteLength(text) > IDENTITY_FILE_MAX_BYTES) {
    throw bad(
      `${what} is larger than ${IDENTITY_FILE_MAX_BYTES / 1024} kB`,
      'hand over only the output of: awl id export',
    );
  }
  const lines = text.split(/\r?\n/).map((line) => line.replace(/^[>\s\uFEFF]+/u, '').trimEnd());
  const blocks = lines.filter((line) => line.startsWith(PEM_BEGIN));
  if (blocks.some((line) => line.includes('PRIVATE KEY'))) {
    throw new AwlError('IDENTITY_UNSAFE', `${what} holds a private key`, {
      hint: 'a private key must never leave its machine: its owner makes a new identity and sends only the output of awl id export',
    });
  }
  const headers = lines.slice(
    0,
    lines.findIndex((line) => line.startsWith(PEM_BEGIN)),
  );
  const values = (key: string) =>
    headers.filter((line) => line.toLowerCase().startsWith(key)).map((line) => line.slice(key.length).trim());
  const names = values(NAME_LINE);
  const cert = parseCertificate(lines.join('\n'), what);
  if (names[0] === undefined) return { name: undefined, cert };
  const fingerprints = values(FINGERPRINT_LINE);
  if (names.length > 1 || fingerprints.length > 1 || blocks.length > 1) {
    throw bad(`${what} holds more than one identity`, 'put each into a file of its own');
  }
  const stated = (fingerprints[0] ?? '').replace(/[\s:]/g, '').toLowerCase();
  if (stated !== cert.fingerprint) {
    throw bad(
      stated
        ? `the certificate in ${what} is not the one its fingerprint line names`
        : `${what} lacks its ${FINGERPRINT_LINE} line`,
      'it was changed on the way: ask for it again, over another channel',
    );
  }
  return { name: parseName(names[0]), cert };
}
