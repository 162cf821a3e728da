import { createHash } from 'node:crypto';
import {
  EXTENSION_VERSION,
  SEEN_RETENTION_MS,
  SEEN_UNTIMED_RETENTION_MS,
  SIGNING_TIME_WINDOW_MS,
} from '../constants.js';
import { AwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import type { HostIdentity, PeerIdentity } from '../identity/repository.js';
import { type Certificate, checkIssuedBy, checkValidity } from '../identity/x509.js';
import type { Extension } from '../wire/extension.js';
import type { Bare, Opened, OpenOptions, SealOptions } from './sealing.js';

/** Both sides of a sealed exchange, complete. */
export interface Parties {
  readonly host: HostIdentity;
  readonly peer: PeerIdentity;
}

/**
 * Checks both certificates before anything is sealed.
 * @throws AwlError IDENTITY_EXPIRED, IDENTITY_UNTRUSTED, IDENTITY_INVALID (both sides the same key)
 */
export function checkSealing(parties: Parties, now: Date): void {
  const { host, peer } = parties;
  checkValidity(host.cert, now, `the certificate of ${formatName(host.name)}`);
  checkPeer(parties, now);
  if (host.cert.fingerprint !== peer.cert.fingerprint) return;
  throw new AwlError(
    'IDENTITY_INVALID',
    `${formatName(host.name)} and ${formatName(peer.name)} have the same key`,
    {
      hint: 'make an identity for each machine with: awl id init owner/pin',
    },
  );
}

/**
 * Checks both certificates before anything is opened.
 * @throws AwlError MESSAGE_MISDIRECTED, IDENTITY_EXPIRED, IDENTITY_UNTRUSTED
 */
export function checkOpening(parties: Parties, now: Date): void {
  const { host, peer } = parties;
  if (host.cert.fingerprint === peer.cert.fingerprint) {
    // With one key on both sides our own messages would come back as the peer's.
    throw misdirected(`${formatName(host.name)} and ${formatName(peer.name)} have the same key`);
  }
  checkPeer(parties, now);
}

/** The extension with what is true of this message, whatever the caller filled in there. */
export function bindExtension(
  extension: Partial<Extension>,
  { app, kind, now }: SealOptions,
  recipient: Certificate,
): Extension {
  return {
    exp: Math.floor((now.getTime() + SIGNING_TIME_WINDOW_MS) / 1000),
    cand: [],
    caps: [],
    ...extension,
    v: EXTENSION_VERSION,
    kind,
    app,
    to: recipient.fingerprint,
  };
}

/** Dates of the pinned certificate, and on top of the pin the CA: the peer's as plexus 3.1, else the host's as 3.4. */
function checkPeer({ host, peer }: Parties, now: Date): void {
  checkValidity(peer.cert, now, `the certificate of ${formatName(peer.name)}`);
  const ca = peer.ca ?? host.ca;
  if (ca) checkIssuedBy(peer.cert, ca, now);
}

/** @throws AwlError MESSAGE_MISDIRECTED */
export function checkBinding(extension: Extension, options: OpenOptions, host: HostIdentity): void {
  if (extension.to !== host.cert.fingerprint) throw misdirected('it was sealed for somebody else');
  if (extension.app !== options.app) throw misdirected('it was sealed for another app');
  if (extension.kind !== options.kind) throw misdirected(`it is no ${options.kind} message`);
}

export function misdirected(why: string): AwlError {
  return new AwlError('MESSAGE_MISDIRECTED', `the message is not for this session: ${why}`);
}

export function stale(why: string): AwlError {
  return new AwlError('MESSAGE_STALE', `the message is too old or too new: ${why}`, {
    hint: `set the clocks of both machines; ${SIGNING_TIME_WINDOW_MS / 60_000} minutes are allowed between signing and reading`,
  });
}

/** Host with key, peer with certificate: spec b calls the pair encryptable. */
export function complete(options: {
  readonly host: Bare<HostIdentity>;
  readonly peer: Bare<PeerIdentity>;
}): Parties | undefined {
  const { host, peer } = options;
  if (!host.cert || !host.key || !peer.cert) return undefined;
  return { host: { ...host, cert: host.cert, key: host.key }, peer: { ...peer, cert: peer.cert } };
}

export function missingMaterial({ host, peer }: Pick<SealOptions, 'host' | 'peer'>): AwlError {
  const whose = host.cert && host.key ? peer.name : host.name;
  return new AwlError(
    'IDENTITY_MISSING',
    `the certificate of ${formatName(whose)} is needed to seal messages`,
    {
      hint: 'make your own with awl id init, take the peer’s with awl id trust',
    },
  );
}

/** Identifies signed content: hex SHA-256 over the signer's fingerprint and the bytes that the signature covers. */
export function signedDigest(signer: Certificate, signed: Uint8Array): string {
  return createHash('sha256').update(Buffer.from(signer.fingerprint, 'hex')).update(signed).digest('hex');
}

/** How long the digest of a message must be remembered: nothing but that stops the replay of one without a time. */
export function retentionOf(opened: Opened): number {
  return opened.signedAt || opened.extension ? SEEN_RETENTION_MS : SEEN_UNTIMED_RETENTION_MS;
}
