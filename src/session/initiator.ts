import { PROBE_GRACE_MS, RESPONSE_TIMEOUT_MS } from '../constants.js';
import { AwlError, isAwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import { type Opened, open } from '../rendezvous/sealing.js';
import { keepMapping } from '../stun/keepalive.js';
import { type Probe, probe } from '../stun/probe.js';
import { resolveServers } from '../stun/resolve.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import { deadline, sleep } from '../util/sleep.js';
import { UdpSocket } from '../util/udp.js';
import { UNMEASURED } from '../wire/nat-report.js';
import { newSessionId, openContext, requireName, type SessionContext } from './context.js';
import { newContribution, sealLetter, sealOptions, shareKeys } from './exchange.js';
import { type HostParty, loadHost, loadPeer, type PeerParty } from './parties.js';
import type { Passage } from './passage.js';
import { openPassage } from './punching.js';
import type { SessionSettings } from './settings.js';

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
  let socket: UdpSocket | undefined;
  const background = new AbortController();
  const signal = settings.signal ? AbortSignal.any([settings.signal, background.signal]) : background.signal;
  try {
    const loading = {
      ...(settings.allowPlaintext && { allowPlaintext: true }),
      named: true,
      log: context.log,
    };
    const host = await loadHost(context.repository, hostName, loading);
    const peer = await loadPeer(context.repository, peerName, loading);
    socket = await UdpSocket.bind(settings.bind);
    const passage = await exchangeAndPunch({ context, host, peer, socket, begun, signal });
    // The passage is ready now; taking leave of a mail server may last seconds.
    void context.close();
    return passage;
  } catch (error) {
    background.abort();
    await socket?.close();
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
  readonly socket: UdpSocket;
  readonly begun: number;
  readonly signal: AbortSignal;
}

async function exchangeAndPunch(parts: Parts): Promise<Passage> {
  const { context, host, peer, socket, begun, signal } = parts;
  const { settings, rendezvous, emit } = context;
  const session = newSessionId();
  const log = context.log.child(session);

  const servers = await resolveServers(settings.stun, socket.local, signal);
  const measuring = probe(socket, servers, { signal, log });
  const located = measuring.endpoint.then(async (outer) => {
    emit({
      event: 'stun',
      session,
      inner: formatEndpoint(socket.local),
      outer: formatEndpoint(outer),
      ms: Math.round(performance.now() - begun),
    });
    await Promise.race([measuring.report, sleep(PROBE_GRACE_MS)]);
    return outer;
  });
  const [outer] = await Promise.all([located, rendezvous.prepare(signal)]);
  void measuring.report.then((report) => emit({ event: 'nat', report }));

  const own = newContribution();
  const letter = sealLetter({
    kind: 'invite',
    app: settings.app,
    host,
    peer,
    outer,
    own,
    nat: measuring.current(),
    extended: true,
    now: context.now(),
    ...sealOptions(settings),
  });
  const stopKeeping = keepOpen(parts, servers, outer, log);
  try {
    await rendezvous.push(
      { app: settings.app, kind: 'invite', from: host.name, to: peer.name, ...letter },
      signal,
    );
    emit({ event: 'invited', session, peer: formatName(peer.name) });
    log.info(
      `invitation sent to ${formatName(peer.name)} over ${rendezvous.name}, own endpoint ${formatEndpoint(outer)}`,
    );

    const answer = await awaitAnswer(parts, letter.digest, session);
    const keys = shareKeys(own, answer, { invite: letter.digest, accept: answer.digest });
    return await openPassage({
      context,
      session,
      role: 'invite',
      host,
      peer,
      socket,
      outer,
      target: answer.reference.endpoint,
      keys,
      reports: { own: await settled(measuring), peer: answer.extension?.nat ?? UNMEASURED },
      begun,
      log,
      signal,
    });
  } finally {
    stopKeeping();
  }
}

/** The full report if it is there: by now the answer has come, and nobody should wait for a test. */
function settled(measuring: Probe) {
  return Promise.race([measuring.report, Promise.resolve(measuring.current())]);
}

/** Refreshes the mapping while mail is under way: NATs forget idle UDP after 30 s. */
function keepOpen(parts: Parts, servers: readonly Endpoint[], outer: Endpoint, log: SessionContext['log']) {
  const controller = new AbortController();
  const server = servers[0];
  if (server) {
    keepMapping(parts.socket, server, {
      signal: AbortSignal.any([parts.signal, controller.signal]),
      onChange: (endpoint) =>
        log.warning(
          `the NAT moved our endpoint from ${formatEndpoint(outer)} to ${formatEndpoint(endpoint)} while the answer was under way`,
        ),
    });
  }
  return () => controller.abort();
}

/** The first answer that the pinned peer signed for this very invitation. */
async function awaitAnswer(parts: Parts, inviteDigest: string, session: string): Promise<Opened> {
  const { context, host, peer, begun } = parts;
  const { settings, rendezvous, seen, log } = context;
  const ms = settings.responseTimeoutMs ?? RESPONSE_TIMEOUT_MS;
  const limit = deadline(
    ms,
    () =>
      new AwlError('PEER_NO_ANSWER', `${formatName(peer.name)} did not answer within ${ms / 1000} s`, {
        hint: `is awl --accept --app-id=${settings.app} running there, with the certificate of ${formatName(host.name)} in its repository?`,
      }),
    parts.signal,
  );
  try {
    const filter = { app: settings.app, kind: 'accept', to: host.name, from: peer.name } as const;
    for await (const envelope of rendezvous.listen(filter, limit.signal)) {
      try {
        const opened = open(envelope, {
          app: settings.app,
          kind: 'accept',
          host,
          peer,
          now: context.now(),
          ...(settings.allowPlaintext && { allowPlaintext: true }),
        });
        if (opened.extension && opened.extension.re !== inviteDigest) {
          throw new AwlError('MESSAGE_MISDIRECTED', 'the answer belongs to another invitation');
        }
        if (!(await seen.admit(opened.digest, context.now()))) {
          throw new AwlError('MESSAGE_REPLAYED', 'this answer was seen before');
        }
        // Deleting the mail must not hold up the punch.
        void envelope.ack();
        const took = Math.round(performance.now() - begun);
        context.emit({ event: 'answered', session, peer: formatName(peer.name), ms: took });
        return opened;
      } catch (error) {
        if (!isAwlError(error)) throw error;
        log.debug(`answer ${envelope.id} ignored: ${error.code}: ${error.message}`);
      }
    }
    limit.signal.throwIfAborted();
    throw new AwlError('RENDEZVOUS_UNREACHABLE', `${rendezvous.name} ended while waiting for the answer`);
  } finally {
    limit.dispose();
  }
}
