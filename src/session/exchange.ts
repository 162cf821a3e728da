import { publicKeyInfo } from '../identity/x509.js';
import type { Opened } from '../rendezvous/sealing.js';
import { sealingOf } from '../rendezvous/sealings.js';
import type { Envelope, Letter, LetterKind, Rendezvous } from '../rendezvous/types.js';
import { type Endpoint, sameEndpoint } from '../util/endpoint.js';
import type { Candidate, Extension } from '../wire/extension.js';
import type { NatReport } from '../wire/nat-report.js';
import type { Terms } from '../wire/reference-terms.js';
import { agree, type Contribution, placeOnLadder, type SharedKeys } from './contribution.js';
import type { HostParty, PeerParty } from './parties.js';
import { ownRoute, type Route, routeCaps } from './route.js';
import type { SessionSettings } from './settings.js';
import { ownUse, peerUse, type Use } from './use.js';

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
    caps: [...own.caps, ...routeCaps(parts.route), ...(parts.use ? [parts.use] : [])],
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
  const use = peerUse(opened);
  return { ...(use && { use }), ...placeOnLadder(opened.extension) };
}

/** Is the sender a plexus? An awl whose letter went in clear has no place for an extension either. */
export function isPlexus({ extension }: Opened, { form }: Pick<Envelope, 'form'>): boolean {
  return extension === undefined && form !== 'plain';
}

/**
 * Where the sender's socket was seen. The reference of an awl whose NAT counts may name a port that is to come, because a
 * plexus reads nothing else (told.ts); the extension says so.
 */
export function placeOf({ reference: { endpoint }, extension }: Opened): Endpoint {
  const { cand = [] } = extension ?? {};
  const foretold = cand.some((one) => one.type === 'predicted' && sameEndpoint(one.endpoint, endpoint));
  const seen = cand.find((one) => one.type === 'srflx' && one.endpoint.address === endpoint.address);
  return foretold && seen ? seen.endpoint : endpoint;
}

/**
 * What both sides can now compute from the two sealed messages.
 * @throws AwlError MESSAGE_MISDIRECTED if the peer's puzzle or key is our own (a reflected message)
 */
export function shareKeys(
  own: Contribution,
  { reference, extension }: Opened,
  digests: { readonly invite: string; readonly accept: string },
): SharedKeys {
  return agree(own, { puzzle: reference.puzzle, ...extension }, digests);
}
