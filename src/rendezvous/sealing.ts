import { createHash } from 'node:crypto';
import { SIGNING_TIME_WINDOW_MS } from '../constants.js';
import { AwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import type { HostIdentity, PeerIdentity } from '../identity/repository.js';
import { decodeExtension, type Extension, encodeExtension } from '../wire/extension.js';
import { checkSize } from '../wire/mime.js';
import { decodeReference, encodeReference, type Reference } from '../wire/reference.js';
import { decryptMessage, encryptMessage, signMessage, verifyMessage } from '../wire/smime.js';
import {
  bindExtension,
  checkBinding,
  checkOpening,
  checkSealing,
  complete,
  missingMaterial,
  signedDigest,
  stale,
} from './sealing-rules.js';
import type { Envelope, LetterForm, LetterKind } from './types.js';

/** An identity of which the certificates may be missing: plexus then writes in clear (spec b). */
export type Bare<T extends { readonly name: unknown }> = Pick<T, 'name'> & Partial<T>;

export interface SealOptions {
  readonly app: string;
  readonly kind: LetterKind;
  readonly host: Bare<HostIdentity>;
  readonly peer: Bare<PeerIdentity>;
  readonly reference: Reference;
  /** What to add for awl peers. The binding (kind, app, recipient) is always set here, to what is true. */
  readonly extension?: Partial<Extension>;
  /** Content cipher; plexus reads both. Default aes256. */
  readonly cipher?: 'aes256' | 'des3';
  /** Typed by the user: write in clear where a certificate is missing. */
  readonly plaintext?: boolean;
  readonly now: Date;
}

export interface Sealed {
  readonly form: LetterForm;
  readonly bytes: Uint8Array;
  /** As {@link Opened.digest} at the recipient. */
  readonly digest: string;
}

export interface OpenOptions {
  readonly app: string;
  readonly kind: LetterKind;
  readonly host: Bare<HostIdentity>;
  readonly peer: Bare<PeerIdentity>;
  readonly now: Date;
  /** Typed by the user: take messages in clear where a certificate is missing. */
  readonly allowPlaintext?: boolean;
}

export interface Opened {
  readonly reference: Reference;
  /** Absent in messages of plexus. */
  readonly extension?: Extension;
  /** Absent in messages in clear. */
  readonly signedAt?: Date;
  /**
   * Hex SHA-256 over the signer's fingerprint and the signed attributes: whoever re-encrypts, re-wraps or re-sends the
   * message cannot change it. The key of the replay guard, and what an answer's `re` names.
   */
  readonly digest: string;
}

/**
 * Signs with the host's key and encrypts to the peer's certificate (spec c.3); in clear only if that was typed and
 * material is missing, as plexus decides it (spec b).
 * @throws AwlError IDENTITY_MISSING, IDENTITY_EXPIRED, IDENTITY_UNTRUSTED, IDENTITY_INVALID (not RSA, or both
 *   sides the same key), MESSAGE_MALFORMED (an app id or extension that no reader would take)
 */
export function seal(options: SealOptions): Sealed {
  const { reference, now } = options;
  const text = encodeReference(reference);
  const parties = complete(options);
  if (!parties) {
    if (!options.plaintext) throw missingMaterial(options);
    return { form: 'plain', bytes: Buffer.from(text), digest: plainDigest(text) };
  }
  const { host, peer } = parties;
  checkSealing(parties, now);
  const extension = options.extension && bindExtension(options.extension, options, peer.cert);
  const { message, attributes } = signMessage(text, {
    cert: host.cert.x509,
    key: host.key,
    signedAt: now,
    ...(extension && { extension: encodeExtension(extension) }),
  });
  const bytes = encryptMessage(message, peer.cert.x509, options.cipher ?? 'aes256');
  checkSize(bytes);
  return { form: 'smime', bytes, digest: signedDigest(host.cert, attributes) };
}

/**
 * Opens what the pinned peer sealed for us, for this app and just now; everything else is an error and has no effect.
 * A caller must behave the same toward the outside whichever MESSAGE_* it was.
 * @throws AwlError MESSAGE_TOO_LARGE, _PLAINTEXT, _UNDECRYPTABLE, _MALFORMED, _UNSUPPORTED, _NOT_PINNED,
 *   _MISDIRECTED, _STALE; IDENTITY_MISSING, _EXPIRED, _UNTRUSTED, _INVALID about the certificates on disk
 */
export function open(envelope: Pick<Envelope, 'form' | 'bytes'>, options: OpenOptions): Opened {
  checkSize(envelope.bytes);
  const parties = complete(options);
  if (envelope.form === 'plain') return openPlain(envelope.bytes, options, parties !== undefined);
  if (!parties) throw missingMaterial(options);
  const { host, peer } = parties;
  checkOpening(parties, options.now);
  const verified = verifyMessage(decryptMessage(envelope.bytes, host.cert.x509, host.key), peer.cert.x509);
  const reference = decodeReference(verified.text.toString('latin1'));
  const extension = verified.extension && decodeExtension(verified.extension);
  if (extension) checkBinding(extension, options, host);
  checkFreshness(verified.signedAt, extension, options.now);
  return {
    reference,
    ...(extension && { extension }),
    ...(verified.signedAt && { signedAt: verified.signedAt }),
    digest: signedDigest(peer.cert, verified.attributes),
  };
}

function openPlain(bytes: Uint8Array, options: OpenOptions, encryptable: boolean): Opened {
  if (!options.allowPlaintext || encryptable) {
    throw new AwlError(
      'MESSAGE_PLAINTEXT',
      `a message in clear, said to be from ${formatName(options.peer.name)}`,
      {
        hint: encryptable
          ? 'both certificates are here, so only a sealed message counts; does the peer have yours?'
          : 'nobody signed it, so anybody may have written it; exchange certificates with awl id export and awl id trust',
      },
    );
  }
  const reference = decodeReference(Buffer.from(bytes).toString('latin1'));
  return { reference, digest: plainDigest(encodeReference(reference)) };
}

function checkFreshness(signedAt: Date | undefined, extension: Extension | undefined, now: Date): void {
  if (!signedAt) throw stale('it does not say when it was signed');
  const age = now.getTime() - signedAt.getTime();
  if (Math.abs(age) > SIGNING_TIME_WINDOW_MS) {
    throw stale(`it was signed ${Math.round(Math.abs(age) / 1000)} s ${age > 0 ? 'ago' : 'in the future'}`);
  }
  if (extension && now.getTime() > extension.exp * 1000) throw stale('it has expired');
}

function plainDigest(text: string): string {
  return createHash('sha256').update('plain ').update(text).digest('hex');
}
