import { HANDSHAKE_TIMEOUT_MS, PUNCH_HOPS } from '../constants.js';
import { isAwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import type { Logger } from '../log.js';
import type { LadderOptions } from '../punch/options.js';
import { punch } from '../punch/puncher.js';
import { classOf } from '../stun/sanity.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import type { UdpSocket } from '../util/udp.js';
import type { Candidate } from '../wire/extension.js';
import type { NatReport } from '../wire/nat-report.js';
import type { SharedKeys } from './contribution.js';
import type { EventSink } from './events.js';
import { type HostParty, type PeerParty, partyKey } from './parties.js';
import type { Passage, Role } from './passage.js';
import { plexusPostMortem, postMortem, sideOf } from './prediction.js';
import type { SessionSettings } from './settings.js';
import type { SessionSockets } from './sockets.js';
import type { Use } from './use.js';

/** What punching asks of the settings. */
export type PunchSettings = Pick<
  SessionSettings,
  'app' | 'hops' | 'handshakeTimeoutMs' | 'allowPrivate' | 'allowLoopback'
>;

export interface PunchingParts {
  readonly context: { readonly settings: PunchSettings; readonly emit: EventSink };
  readonly session: string;
  readonly role: Role;
  readonly host: HostParty;
  readonly peer: PeerParty;
  readonly sockets: SessionSockets;
  readonly outer: Endpoint;
  /** What each side's signed message named; the peer's is still to be judged by the address filter. */
  readonly candidates: { readonly own: readonly Candidate[]; readonly peer: readonly Candidate[] };
  readonly target: Endpoint;
  /** Where the payload's connection runs if that is not the UDP path itself. */
  readonly place?: Pick<Passage, 'transport' | 'inner' | 'outer' | 'alien'>;
  readonly keys: SharedKeys;
  /** What the peer's message says about its place on the ladder. */
  readonly abilities: Pick<
    LadderOptions,
    'peerFresh' | 'chooses' | 'birthday' | 'tellsSeen' | 'plexus' | 'told'
  > & {
    readonly use?: Use;
  };
  /** Smallest TTL that was seen to leave the own NATs; `--punch-hops` wins over it. */
  readonly hops: number | undefined;
  readonly reports?: { readonly own: NatReport; readonly peer: NatReport };
  /** A direct path is looked for no longer than this. */
  readonly patienceMs?: number;
  /** Monotonic ms at which the session began, for the `passage` event. */
  readonly begun: number;
  readonly log: Logger;
  readonly signal?: AbortSignal;
}

function emitCandidates({ context, session, candidates }: PunchingParts): void {
  const words = (list: readonly Candidate[]) =>
    list.map(({ type, endpoint }) => `${type} ${formatEndpoint(endpoint)}`);
  const [own, peer] = [words(candidates.own), words(candidates.peer)];
  context.emit({ event: 'candidates', session, own, peer });
}

/**
 * Climbs the ladder toward the peer and wraps what was won.
 * The socket that won now belongs to the passage; the others, and all on failure, are the caller's to close.
 * @throws AwlError HANDSHAKE_TIMEOUT, NAT_IMPOSSIBLE, ADDRESS_REFUSED
 */
export async function openPassage(parts: PunchingParts): Promise<Passage> {
  const { context, role, sockets, target, keys, log } = parts;
  const { settings } = context;
  const hops = settings.hops ?? parts.hops;
  emitCandidates(parts);
  const punching = punch({
    socket: sockets.main,
    role,
    secret: keys.secret,
    peer: target,
    hops: hops ?? PUNCH_HOPS,
    ...(hops !== undefined && { measured: true }),
    ladder: {
      ...parts.abilities,
      fresh: sockets.fresh.sockets.map((one) => one.socket),
      ...(sockets.beside && { beside: sockets.beside }),
      ownCandidates: parts.candidates.own,
      ownOuter: parts.outer,
      peerCandidates: parts.candidates.peer,
      peerKey: partyKey(parts.peer),
    },
    ...(keys.confirmKey && { confirmKey: keys.confirmKey }),
    ...(parts.reports && { reports: parts.reports }),
    timeoutMs: Math.min(
      settings.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
      parts.patienceMs ?? Number.POSITIVE_INFINITY,
    ),
    ...(settings.allowPrivate && { allowPrivate: true }),
    ...(settings.allowLoopback && { allowLoopback: true }),
    ...(parts.signal && { signal: parts.signal }),
    log,
  });
  const result = await punching.catch((error) => {
    if (parts.reports && isAwlError(error, 'HANDSHAKE_TIMEOUT', 'NAT_IMPOSSIBLE')) {
      log.warning(obituary(parts, parts.reports));
    }
    throw error;
  });
  return wrapPassage(parts, { ...result, alien: result.peer });
}

function obituary(parts: PunchingParts, { own, peer }: NonNullable<PunchingParts['reports']>): string {
  const { abilities, outer, target, candidates } = parts;
  if (abilities.plexus) return plexusPostMortem(own, abilities.told ?? 'reflexive');
  return postMortem(sideOf(own, outer, candidates.own), sideOf(peer, target, candidates.peer));
}

/**
 * The own endpoint as the outside sees it. A NAT that moves gives each destination another one, and only the peer knows
 * its own; what it says of a private network says nothing of the outside.
 */
function outerOf({ sockets, outer }: PunchingParts, socket: UdpSocket, seen: Endpoint | undefined): Endpoint {
  if (seen && classOf(seen.address) === 'public') return seen;
  return sockets.fresh.sockets.find((one) => one.socket === socket)?.outer ?? outer;
}

/** The passage to where the peer was found; logs and reports it. */
export function wrapPassage(
  parts: PunchingParts,
  found: Pick<Passage, 'alien' | 'how' | 'confirmed' | 'rttMs'> & {
    readonly socket?: UdpSocket;
    readonly seen?: Endpoint;
  },
): Passage {
  const { context, session, role, host, peer, sockets, keys, log } = parts;
  const { settings } = context;
  const { socket = sockets.main } = found;
  const ms = Math.round(performance.now() - parts.begun);
  const { transport, inner, outer, alien } = parts.place ?? {
    transport: 'udp',
    inner: socket.local,
    outer: outerOf(parts, socket, found.seen),
    alien: found.alien,
  };
  const passage: Passage = {
    session,
    role,
    app: settings.app,
    host: host.name,
    peer: peer.name,
    ...(peer.cert && { peerCertificate: peer.cert.x509 }),
    transport,
    inner,
    outer,
    alien,
    secret: keys.secret,
    ...(found.confirmed && keys.sessionKey && { sessionKey: keys.sessionKey }),
    ...(keys.volleys && { volleys: true }),
    how: found.how,
    confirmed: found.confirmed,
    ...(found.rttMs !== undefined && { rttMs: found.rttMs }),
    socket,
    handOver: () => socket.close(),
    async close() {
      await Promise.all([socket.close(), socket === sockets.main ? sockets.lease?.close() : undefined]);
    },
  };
  log.info(
    `passage to ${formatName(peer.name)} at ${formatEndpoint(alien)} from ${formatEndpoint(outer)}: ` +
      `${found.how}${found.confirmed ? ', peer confirmed' : ', not confirmed (plexus peer)'}, ` +
      `${found.rttMs === undefined ? '' : `rtt ${Math.round(found.rttMs)} ms, `}${ms} ms after the start`,
  );
  context.emit({
    event: 'passage',
    session,
    host: formatName(host.name),
    peer: formatName(peer.name),
    transport,
    inner: formatEndpoint(inner),
    outer: formatEndpoint(outer),
    alien: formatEndpoint(alien),
    how: found.how,
    confirmed: found.confirmed,
    ms,
  });
  return passage;
}
