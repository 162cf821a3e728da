import { createPrivateKey, type KeyObject } from 'node:crypto';
import { AwlError } from '../errors.js';
import { shellWord } from './diagnosis.js';
import { type Certificate, firstPemBlock } from './x509.js';

// PKCS#8, PKCS#1 and SEC1, as openssl writes them.
const PEM_LABELS = ['PRIVATE KEY', 'RSA PRIVATE KEY', 'EC PRIVATE KEY', 'ENCRYPTED PRIVATE KEY'];
const ENCRYPTED = /^Proc-Type: *4,ENCRYPTED|-----BEGIN ENCRYPTED /m;

/**
 * Reads a PEM private key (PKCS#8, PKCS#1 or SEC1) without a passphrase, and holds it against its certificate.
 * @param what names the source in errors, for example its path
 * @throws AwlError IDENTITY_INVALID if there is none, it is encrypted, broken, or not the certificate's
 */
export function parsePrivateKey(pem: Buffer, cert: Certificate, what: string): KeyObject {
  const invalid = (message: string, hint: string, cause?: unknown) =>
    new AwlError('IDENTITY_INVALID', message, { hint, ...(cause === undefined ? {} : { cause }) });
  const block = firstPemBlock(pem.toString('latin1'), PEM_LABELS);
  if (!block) {
    throw invalid(
      `${what} holds no PEM private key`,
      'it must have a block that begins with -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----',
    );
  }
  if (ENCRYPTED.test(block)) {
    throw invalid(
      `${what} is protected by a passphrase, and awl runs without anyone to type it`,
      `take the passphrase off: (umask 077; openssl pkey -in ${shellWord(what)} -out plain.key) && mv plain.key ${shellWord(what)}`,
    );
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(block);
  } catch (cause) {
    throw invalid(
      `${what} holds a broken private key`,
      'restore it from a copy, or make a new identity',
      cause,
    );
  }
  if (!cert.x509.checkPrivateKey(key)) {
    throw invalid(
      `${what} does not belong to the certificate beside it`,
      'put the key and the certificate that were made together into one folder',
    );
  }
  return key;
}
