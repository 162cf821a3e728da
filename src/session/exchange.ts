import {
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { AwlError } from '../errors.js';
import { publicKeyInfo } from '../identity/x509.js';
import type { Opened } from '../rendezvous/sealing.js';
import { sealingOf } from '../rendezvous/sealings.js';
import type { Envelope, Letter, LetterKind, Rendezvous } from '../rendezvous/types.js';
import type { Endpoint } from '../util/endpoint.js';
import { deriveConfirmKey } from '../wire/confirm.js';
import type { Candidate, Extension } from '../wire/extension.js';
import type { NatReport } from '../wire/nat-report.js';
import type { Terms } from '../wire/reference-terms.js';
import type { HostParty, PeerParty } from './parties.js';
import { ownRoute, type Route, routeCaps } from './route.js';
import type { SessionSettings } from './settings.js';
import { ownUse, peerUse, type Use } from './use.js';

/** DER of an X25519 SubjectPublicKeyInfo up to the 32 key bytes, RFC 8410 section 4. */
const X25519_SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');

/** The capability that asks for the 32-byte confirmation (docs/PROTOCOL.md). */
const CAP_CONFIRM = 'confirm';
/** The sender knows the choice among several paths, and asks for the birthday rung where its plan has one. */
const CAP_CHOICE = 'choice';
const CAP_BIRTHDAY = 'birthday';
/** The sender reads, in the choice, where the other side sees it. */
const CAP_SEEN = 'seen';

/** One side's fresh random contribution to a session; never reused. */
export interface Contribution {
  readonly puzzle: bigint;
  readonly dh: { readonly publicKey: Buffer; readonly privateKey: KeyObject };
}

/** A random u64 puzzle (spec c.1) and an X25519 key pair for the confirmation. */
export function newContribution(): Contribution {
  const { publicKey, privateKey } = generateKeyPairSync('x25519');
  const raw = publicKey.export({ type: 'spki', format: 'der' }).subarray(X25519_SPKI_PREFIX.length);
  return { puzzle: randomBytes(8).readBigUInt64LE(), dh: { publicKey: raw, privateKey } };
}

export interface LetterParts {
  readonly link: Rendezvous;
  readonly kind: LetterKind;
  readonly app: string;
  readonly host: HostParty;
  readonly peer: PeerParty;
  readonly outer: Endpoint;
  /** Where we may be reached, `outer` among it. */
  readonly candidates: readonly Candidate[];
  readonly own: Contribution;
  /** What the reference says beyond 3.0. */
  readonly terms?: Terms;
  readonly nat: NatReport;
  /** Endpoints of the fresh sockets. */
  readonly fresh: readonly Endpoint[];
  /** Whether to add the extension: always in invitations, in answers only if the invitation had one. */
  readonly extended: boolean;
  /** The invitation that this answers: its digest, and the envelope's id. */
  readonly answers?: { readonly digest: string; readonly envelope: string };
  readonly now: Date;
  readonly cipher?: 'aes256' | 'des3';
  readonly plaintext?: boolean;
  readonly route: Route;
  readonly use?: Use;
}

/** The sealing choices that settings make. */
export function sealOptions(settings: SessionSettings) {
  const use = ownUse(settings);
  return {
    ...(use && { use }),
    route: ownRoute(settings),
    ...(settings.cipher && { cipher: settings.cipher }),
    ...(settings.allowPlaintext && { plaintext: true }),
  };
}

/** A letter ready to be carried, and the digest that identifies its signed content on both sides. */
export interface SealedLetter {
  readonly letter: Letter;
  readonly digest: string;
}

/** Seals one side's endpoint and puzzle, with the extension that binds it to recipient, app and time. */
export function sealLetter(parts: LetterParts): SealedLetter {
  const { kind, app, host, peer, own, now } = parts;
  const extension: Partial<Extension> = {
    ...(parts.answers !== undefined && { re: parts.answers.digest }),
    dh: own.dh.publicKey,
    cand: parts.candidates,
    ...(parts.fresh.length > 0 && { fresh: parts.fresh }),
    nat: parts.nat,
    caps: [
      CAP_CONFIRM,
      CAP_CHOICE,
      CAP_BIRTHDAY,
      CAP_SEEN,
      ...routeCaps(parts.route),
      ...(parts.use ? [parts.use] : []),
    ],
  };
  const sealed = sealingOf(parts.link.sealing).seal({
    kind,
    app,
    host,
    peer,
    reference: { endpoint: parts.outer, puzzle: own.puzzle, ...(parts.terms && { terms: parts.terms }) },
    ...(parts.extended && { extension }),
    ...(parts.cipher && { cipher: parts.cipher }),
    ...(parts.plaintext && { plaintext: true }),
    now,
  });
  const { digest, ...content } = sealed;
  return {
    digest,
    letter: {
      app,
      kind,
      from: host.name,
      to: peer.name,
      ...content,
      ...(peer.cert && { toKey: publicKeyInfo(peer.cert) }),
      ...(host.cert && { fromKey: publicKeyInfo(host.cert) }),
      ...(parts.answers && { answers: parts.answers.envelope }),
    },
  };
}

/** Opens a letter with the sealing of the link that brought it; nothing of it counts before. */
export function openLetter(
  link: Rendezvous,
  envelope: Envelope,
  parts: {
    readonly settings: SessionSettings;
    readonly kind: LetterKind;
    readonly host: HostParty;
    readonly peer: PeerParty;
    readonly now: Date;
  },
): Opened {
  const { settings, ...rest } = parts;
  return sealingOf(link.sealing).open(envelope, {
    app: settings.app,
    ...rest,
    ...(settings.allowPlaintext && { allowPlaintext: true }),
  });
}

/** What a verified message says about the sender's place on the ladder. */
export function abilitiesOf(opened: Opened) {
  const { extension } = opened;
  const use = peerUse(opened);
  return {
    ...(use && { use }),
    peerFresh: extension?.fresh ?? [],
    chooses: extension?.caps.includes(CAP_CHOICE) ?? false,
    birthday: extension?.caps.includes(CAP_BIRTHDAY) ?? false,
    tellsSeen: extension?.caps.includes(CAP_SEEN) ?? false,
  };
}

export interface SharedKeys {
  /** puzzle XOR puzzle, spec f. */
  readonly secret: bigint;
  /** Present iff both sides announced the confirmation. */
  readonly confirmKey?: Buffer;
  /** What a payload may key itself with: 32 bytes, independent of the confirmation's own keys. */
  readonly sessionKey?: Buffer;
}

/**
 * What both sides can now compute from the two sealed messages.
 * @throws AwlError MESSAGE_MISDIRECTED if the peer's puzzle or key is our own (a reflected message)
 */
export function shareKeys(
  own: Contribution,
  theirs: Opened,
  digests: { readonly invite: string; readonly accept: string },
): SharedKeys {
  const secret = own.puzzle ^ theirs.reference.puzzle;
  const extension = theirs.extension;
  if (secret === 0n || extension?.dh?.equals(own.dh.publicKey)) {
    throw new AwlError('MESSAGE_MISDIRECTED', 'our own message came back as the answer of the peer', {
      hint: 'the rendezvous reflects messages; nothing was opened',
    });
  }
  if (!extension?.dh || !extension.caps.includes(CAP_CONFIRM)) return { secret };
  const publicKey = createPublicKey({
    key: Buffer.concat([X25519_SPKI_PREFIX, extension.dh]),
    format: 'der',
    type: 'spki',
  });
  const sharedSecret = agree(own.dh.privateKey, publicKey);
  const confirmKey = deriveConfirmKey({
    sharedSecret,
    secret,
    inviteDigest: digests.invite,
    acceptDigest: digests.accept,
  });
  const sessionKey = Buffer.from(hkdfSync('sha256', confirmKey, Buffer.alloc(0), 'awl payload v1', 32));
  return { secret, confirmKey, sessionKey };
}

function agree(privateKey: KeyObject, publicKey: KeyObject): Buffer {
  try {
    return diffieHellman({ privateKey, publicKey });
  } catch (cause) {
    // Points of small order make OpenSSL refuse; RFC 7748 section 6.1 asks for exactly that.
    throw new AwlError('MESSAGE_MALFORMED', 'the key in the peer’s message cannot be used', { cause });
  }
}
