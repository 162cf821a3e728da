import { PROBE_GRACE_MS, RESPONSE_TIMEOUT_MS } from '../constants.js';
import { AwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import { isMoving } from '../punch/feasibility.js';
import type { Opened } from '../rendezvous/sealing.js';
import { resolveServers } from '../stun/resolve.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import { deadline, sleep } from '../util/sleep.js';
import type { Candidate } from '../wire/extension.js';
import type { NatReport } from '../wire/nat-report.js';
import { publicOnly } from './candidate-list.js';
import { Gathering } from './candidates.js';
import type { SessionContext } from './context.js';
import { newContribution } from './contribution.js';
import { abilitiesOf, sealLetter, sealOptions, shareKeys } from './exchange.js';
import { reportFailure } from './failing.js';
import { FRESH_GRACE_MS } from './fresh.js';
import type { Delivery } from './links.js';
import { meet } from './meeting.js';
import type { HostParty, PeerParty } from './parties.js';
import type { Passage } from './passage.js';
import { findReflexive } from './reflexive.js';
import { relayCandidates } from './relaying.js';
import { peerRoute } from './route.js';
import { newSessionId } from './session-id.js';
import type { SessionSettings } from './settings.js';
import { bindSockets, closeSockets, type SessionSockets } from './sockets.js';
import { natOfPeer, ownTerms, tcpMapping } from './terms.js';

export interface AnsweringParts {
  readonly context: SessionContext;
  readonly host: HostParty;
  readonly peer: PeerParty;
  /** The verified invitation, the envelope it came in, and the rendezvous that brought it. */
  readonly invitation: Opened;
  readonly delivery: Delivery;
  /** Own NAT, as far as known. */
  readonly nat: NatReport;
  /** Smallest TTL that leaves it. */
  readonly hops: number | undefined;
  readonly signal: AbortSignal;
}

/**
 * One session of the accepting side, from the verified invitation to the passage: STUN, answer, punch (spec g).
 * Failures are logged and reported as events; then there is no passage, and nothing stays open.
 */
export async function answerInvitation(parts: AnsweringParts): Promise<Passage | undefined> {
  const { context, peer, signal } = parts;
  const session = newSessionId();
  const log = context.log.child(session);
  const name = formatName(peer.name);
  let sockets: SessionSockets | undefined;
  log.info(`invitation of ${name}, its endpoint ${formatEndpoint(parts.invitation.reference.endpoint)}`);
  try {
    sockets = await bindSockets(context.settings.bind, log, context.routers);
    const passage = await answerOn(sockets, session, parts, log);
    await closeSockets(sockets, passage.socket);
    return passage;
  } catch (error) {
    await closeSockets(sockets);
    if (signal.aborted) return undefined;
    reportFailure(error, { session, peer: name, log, emit: context.emit });
    return undefined;
  }
}

/** Addresses of the own network are for peers behind the same NAT, and where private addresses are allowed anyway. */
function forPeer(
  candidates: readonly Candidate[],
  outer: Endpoint,
  peer: Endpoint,
  { allowPrivate }: SessionSettings,
): readonly Candidate[] {
  return allowPrivate || outer.address === peer.address ? candidates : publicOnly(candidates);
}

async function answerOn(
  sockets: SessionSockets,
  session: string,
  parts: AnsweringParts,
  log: SessionContext['log'],
): Promise<Passage> {
  const { context, host, peer, invitation, nat } = parts;
  const { link, envelope } = parts.delivery;
  const { settings, emit } = context;
  const begun = performance.now();
  const failed = new AbortController();
  const signal = AbortSignal.any([parts.signal, failed.signal]);

  const socket = sockets.main;
  let reflexive: readonly Endpoint[] = [];
  const gathering = new Gathering({
    ...{ sockets, stun: settings.stun, log, signal },
    ...(settings.candidates && { kinds: settings.candidates }),
    reflexive: () => reflexive,
  });
  // Behind a NAT that gives each destination another endpoint, the others show which one comes next.
  const graceMs = nat.mapping === 'endpoint-independent' ? 0 : PROBE_GRACE_MS;
  const locating = locateFresh();
  const { outer, all } = await findReflexive(socket, settings.stun, { signal, graceMs });
  reflexive = all;
  emit({
    event: 'stun',
    session,
    inner: formatEndpoint(socket.local),
    outer: formatEndpoint(outer),
    ms: Math.round(performance.now() - begun),
  });
  await gathering.ready(nat, signal);
  await Promise.race([locating, sleep(FRESH_GRACE_MS)]);
  const relays = await relayCandidates(settings, socket.local, log);
  const near = forPeer(gathering.list(outer), outer, invitation.reference.endpoint, settings);
  const candidates = [...near, ...(invitation.extension ? relays : [])];
  const own = newContribution();
  const tcp = await tcpMapping(settings, nat, { log, signal });
  const terms = ownTerms(settings, { outer, nat, now: context.now(), ...(tcp && { tcp }) });
  const { letter, digest } = sealLetter({
    link,
    kind: 'accept',
    app: settings.app,
    host,
    peer,
    outer,
    candidates,
    own,
    ...(terms && { terms }),
    nat,
    fresh: sockets.fresh.named(nat),
    extended: invitation.extension !== undefined,
    answers: { digest: invitation.digest, envelope: envelope.id },
    now: context.now(),
    ...sealOptions(settings),
  });
  const keys = shareKeys(own, invitation, { invite: invitation.digest, accept: digest });
  // The opening packet leaves while the answer is under way: the hole must be there when the inviter knocks.
  const pushing = pushAnswer();
  pushing.catch((error) => failed.abort(error));
  const meeting = meet({
    context,
    session,
    role: 'accept',
    host,
    peer,
    sockets,
    outer,
    hops: parts.hops,
    candidates: { own: candidates, peer: invitation.extension?.cand ?? [] },
    target: invitation.reference.endpoint,
    references: {
      own: { endpoint: outer, puzzle: own.puzzle, ...(terms && { terms }) },
      peer: invitation.reference,
    },
    ...(tcp && { tcp }),
    keys,
    abilities: abilitiesOf(invitation),
    peerRoute: peerRoute(invitation),
    reports: { own: nat, peer: natOfPeer(invitation) },
    begun,
    log,
    signal,
  });
  try {
    // Where we cannot agree the answer goes out all the same: the inviter then knows it, too.
    const [passage] = await Promise.all([
      meeting.catch((error) => pushing.then(() => Promise.reject(error))),
      pushing,
    ]);
    return passage;
  } catch (error) {
    await tcp?.release();
    throw error;
  }

  async function locateFresh(): Promise<void> {
    if (!invitation.extension || isMoving(nat)) return;
    const servers = await resolveServers(settings.stun, socket.local, signal).catch(() => []);
    await sockets.fresh.locate(servers, signal);
  }

  async function pushAnswer(): Promise<void> {
    const limit = deadline(
      RESPONSE_TIMEOUT_MS,
      () => new AwlError('RENDEZVOUS_UNREACHABLE', `${link.name} did not take the answer in time`),
      signal,
    );
    try {
      await link.push(letter, limit.signal);
      emit({
        event: 'answered',
        session,
        peer: formatName(peer.name),
        ms: Math.round(performance.now() - begun),
      });
    } finally {
      limit.dispose();
    }
  }
}
