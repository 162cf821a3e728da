import { RESPONSE_TIMEOUT_MS } from '../constants.js';
import { AwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import type { Opened } from '../rendezvous/sealing.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import { deadline } from '../util/sleep.js';
import type { Candidate } from '../wire/extension.js';
import type { NatReport } from '../wire/nat-report.js';
import { publicOnly } from './candidate-list.js';
import type { SessionContext } from './context.js';
import { newContribution } from './contribution.js';
import { abilitiesOf, isPlexus, placeOf, sealLetter, sealOptions, shareKeys } from './exchange.js';
import { reportFailure } from './failing.js';
import type { Delivery } from './links.js';
import { locate } from './locating.js';
import { meet } from './meeting.js';
import type { HostParty, PeerParty } from './parties.js';
import type { Passage } from './passage.js';
import { relayCandidates } from './relaying.js';
import { peerRoute } from './route.js';
import { newSessionId } from './session-id.js';
import type { SessionSettings } from './settings.js';
import { bindSockets, closeSockets, type SessionSockets } from './sockets.js';
import { natOfPeer, ownTerms, tcpMapping } from './terms.js';
import { nameFor } from './told.js';

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
  const onSeen = (seen: Endpoint) =>
    emit({
      event: 'stun',
      session,
      inner: formatEndpoint(socket.local),
      outer: formatEndpoint(seen),
      ms: Math.round(performance.now() - begun),
    });
  const extended = invitation.extension !== undefined;
  const locating = { sockets, settings, report: nat, fresh: extended, log, signal, onSeen };
  const { seen, gathering } = await locate(locating);
  const relays = await relayCandidates(settings, socket.local, log);
  const near = forPeer(gathering.list(seen.outer), seen.outer, invitation.reference.endpoint, settings);
  const candidates = [...near, ...(extended ? relays : [])];
  const own = newContribution(settings.tunnel);
  const tcp = await tcpMapping(settings, nat, { log, signal });
  const terms = ownTerms(settings, { outer: seen.outer, nat, now: context.now(), ...(tcp && { tcp }) });
  const plexus = isPlexus(invitation, envelope);
  const mapped = sockets.lease?.external;
  const { told, endpoint: outer } =
    plexus && !terms
      ? await nameFor({
          ...{ role: 'accept', report: nat, ...seen, bindAddress: socket.local.address, log, signal },
          ...(mapped && { mapped }),
        })
      : { told: undefined, endpoint: seen.outer };
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
    extended,
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
    target: placeOf(invitation),
    references: {
      own: { endpoint: outer, puzzle: own.puzzle, ...(terms && { terms }) },
      peer: invitation.reference,
    },
    ...(tcp && { tcp }),
    keys,
    abilities: { ...abilitiesOf(invitation), ...(told && { plexus, told }) },
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
