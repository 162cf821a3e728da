import { PROBE_GRACE_MS } from '../constants.js';
import type { Logger } from '../log.js';
import { isMoving } from '../punch/feasibility.js';
import { keepMapping } from '../stun/keepalive.js';
import { type Probe, probe } from '../stun/probe.js';
import { resolveServers } from '../stun/resolve.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import { sleep } from '../util/sleep.js';
import type { NatReport } from '../wire/nat-report.js';
import { askPeer } from './asking.js';
import { Gathering } from './candidates.js';
import { openContext, requireName, type SessionContext } from './context.js';
import { newContribution } from './contribution.js';
import { abilitiesOf, placeOf, shareKeys } from './exchange.js';
import { oneReady } from './links.js';
import { meet } from './meeting.js';
import { type HostParty, loadHost, loadPeer, type PeerParty, partyOptions } from './parties.js';
import type { Passage } from './passage.js';
import { relayCandidates } from './relaying.js';
import { peerRoute } from './route.js';
import { newSessionId } from './session-id.js';
import type { SessionSettings } from './settings.js';
import { bindSockets, closeSockets, type SessionSockets } from './sockets.js';
import { natOfPeer, ownTerms, tcpMapping } from './terms.js';
import { foretold, type Named, type NamingParts, nameFor, windTo } from './told.js';

/** How long a letter waits for answers that are late, or were lost and asked for anew, where it would not say how the NAT maps. */
const MAPPING_GRACE_MS = 500;

/**
 * Invites the peer and punches a passage to it: STUN and rendezvous side by side, invitation, answer, punch
 * (spec g). The caller owns the passage and closes it.
 * @throws AwlError with the diagnosis: IDENTITY_*, STUN_UNREACHABLE, RENDEZVOUS_*, PEER_NO_ANSWER,
 *   HANDSHAKE_TIMEOUT, NAT_IMPOSSIBLE
 */
export async function invite(settings: SessionSettings): Promise<Passage> {
  const begun = performance.now();
  const hostName = requireName(settings.host, '--host-info');
  const peerName = requireName(settings.peer, '--peer-info');
  const context = await openContext(settings);
  let sockets: SessionSockets | undefined;
  const background = new AbortController();
  const signal = settings.signal ? AbortSignal.any([settings.signal, background.signal]) : background.signal;
  try {
    const loading = partyOptions(context, true);
    const host = await loadHost(context.repository, hostName, loading);
    const peer = await loadPeer(context.repository, peerName, loading);
    sockets = await bindSockets(settings.bind, context.log, context.routers);
    const passage = await exchangeAndPunch({ context, host, peer, sockets, begun, signal });
    await closeSockets(sockets, passage.socket);
    // The passage is ready now; taking leave of a mail server may last seconds.
    void context.close();
    return passage;
  } catch (error) {
    background.abort();
    await closeSockets(sockets);
    await context.close();
    settings.signal?.throwIfAborted();
    throw error;
  } finally {
    background.abort();
  }
}

interface Parts {
  readonly context: SessionContext;
  readonly host: HostParty;
  readonly peer: PeerParty;
  readonly sockets: SessionSockets;
  readonly begun: number;
  readonly signal: AbortSignal;
}

async function exchangeAndPunch(parts: Parts): Promise<Passage> {
  const { context, host, peer, sockets, begun, signal } = parts;
  const socket = sockets.main;
  const { settings, emit } = context;
  const session = newSessionId();
  const log = context.log.child(session);

  const servers = await resolveServers(settings.stun, socket.local, signal);
  const relaying = relayCandidates(settings, socket.local, log);
  const measuring = probe(socket, servers, { signal, log });
  const gathering = new Gathering({
    ...{ sockets, stun: settings.stun, log, signal },
    ...(settings.candidates && { kinds: settings.candidates }),
    reflexive: () => measuring.mapped(),
  });
  const located = measuring.endpoint.then(async (outer) => {
    // Not before: their mappings would stand between those that show how a counting NAT counts.
    void sockets.fresh.locate(servers, signal);
    emit({
      event: 'stun',
      session,
      inner: formatEndpoint(socket.local),
      outer: formatEndpoint(outer),
      ms: Math.round(performance.now() - begun),
    });
    await Promise.race([Promise.all([measuring.report, gathering.settled]), sleep(PROBE_GRACE_MS)]);
    if (isUnclear(measuring.current())) await Promise.race([measuring.mappings, sleep(MAPPING_GRACE_MS)]);
    if (isMoving(measuring.current())) await gathering.ready(measuring.current(), signal);
    return outer;
  });
  // Slow ones go on connecting while a quick one is used already.
  const preparing = new Map(context.links.map((link) => [link, link.prepare(signal)]));
  const [outer] = await Promise.all([located, oneReady(preparing, log, signal)]);
  void measuring.report.then((report) => emit({ event: 'nat', report }));

  const relays = await relaying;
  const own = newContribution(settings.tunnel);
  const { server } = await measuring.first;
  const tcp = await tcpMapping(settings, measuring.current(), { log, signal });
  const fresh = sockets.fresh.named(measuring.current());
  const stopKeeping = keepOpen(parts, server, outer, log);
  try {
    const terms = ownTerms(settings, {
      ...{ outer, nat: measuring.current(), now: context.now() },
      ...(tcp && { tcp }),
    });
    const naming: NamingParts = {
      ...{ role: 'invite', report: measuring.current(), outer, server, log, signal },
      bindAddress: socket.local.address,
    };
    const named: Named = terms ? { told: 'reflexive', endpoint: outer } : await nameFor(naming);
    const candidates = () => [...gathering.list(outer), ...foretold(named), ...relays];
    const answered = await askPeer({
      ...{ context, session, host, peer, outer: named.endpoint, own, preparing, begun, log, signal },
      ...(terms && { terms }),
      nat: () => measuring.current(),
      candidates,
      fresh,
    });
    const { opened: answer, invite, plexus } = answered;
    if (plexus && named.told === 'predicted') await windTo(named, naming);
    const keys = shareKeys(own, answer, { invite, accept: answer.digest });
    return await meet({
      context,
      session,
      role: 'invite',
      host,
      peer,
      sockets,
      outer: plexus ? named.endpoint : outer,
      hops: measuring.hops(),
      candidates: { own: candidates(), peer: answer.extension?.cand ?? [] },
      target: placeOf(answer),
      references: {
        own: { endpoint: named.endpoint, puzzle: own.puzzle, ...(terms && { terms }) },
        peer: answer.reference,
      },
      ...(tcp && { tcp }),
      keys,
      abilities: { ...abilitiesOf(answer), ...(plexus && !terms && { plexus, told: named.told }) },
      peerRoute: peerRoute(answer),
      reports: { own: await settled(measuring), peer: natOfPeer(answer) },
      begun,
      log,
      signal,
    });
  } catch (error) {
    await tcp?.release();
    throw error;
  } finally {
    stopKeeping();
  }
}

/** May an answer that is still missing show how the NAT maps, or that it counts? The peer's plan hangs on that. */
function isUnclear({ nat, mapping, portStep }: NatReport): boolean {
  return nat !== 'no' && mapping !== 'endpoint-independent' && portStep === undefined;
}

/** The full report if it is there: by now the answer has come, and nobody should wait for a test. */
function settled(measuring: Probe) {
  return Promise.race([measuring.report, Promise.resolve(measuring.current())]);
}

/** Refreshes the mapping while mail is under way: NATs forget idle UDP after 30 s. */
function keepOpen(parts: Parts, server: Endpoint, known: Endpoint, log: Logger) {
  const controller = new AbortController();
  const signal = AbortSignal.any([parts.signal, controller.signal]);
  parts.sockets.fresh.keep(server, signal);
  void keepMapping(parts.sockets.main, server, {
    known,
    signal,
    log,
    onChange: (endpoint) =>
      log.warning(
        `the NAT moved our endpoint from ${formatEndpoint(known)} to ${formatEndpoint(endpoint)} while the answer was under way`,
      ),
  });
  return () => controller.abort();
}
