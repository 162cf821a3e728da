import { PROBE_GRACE_MS, RESPONSE_TIMEOUT_MS } from '../constants.js';
import { AwlError, isAwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import { publicKeyInfo } from '../identity/x509.js';
import type { Logger } from '../log.js';
import type { Opened } from '../rendezvous/sealing.js';
import { retentionOf } from '../rendezvous/sealing-rules.js';
import type { LetterFilter, Rendezvous } from '../rendezvous/types.js';
import { keepMapping } from '../stun/keepalive.js';
import { type Probe, probe } from '../stun/probe.js';
import { resolveServers } from '../stun/resolve.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import { deadline, sleep } from '../util/sleep.js';
import { UdpSocket } from '../util/udp.js';
import { UNMEASURED } from '../wire/nat-report.js';
import { newSessionId, openContext, requireName, type SessionContext } from './context.js';
import {
  newContribution,
  openLetter,
  type SealedLetter,
  sealLetter,
  sealOptions,
  shareKeys,
} from './exchange.js';
import { listenOnAll, onAnyLink } from './links.js';
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
  const { settings, emit } = context;
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
  const connecting = onAnyLink(context.links, log, (link) => link.prepare(signal));
  const [outer, links] = await Promise.all([located, connecting]);
  void measuring.report.then((report) => emit({ event: 'nat', report }));

  const own = newContribution();
  const letters = new Map(
    links.map((link) => [
      link,
      sealLetter({
        link,
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
      }),
    ]),
  );
  const { server } = await measuring.first;
  const stopKeeping = keepOpen(parts, server, outer, log);
  try {
    const carried = await onAnyLink(links, log, (link) => pushOn(link, letters, signal));
    emit({ event: 'invited', session, peer: formatName(peer.name) });
    const names = carried.map(({ name }) => name).join(' and ');
    log.info(
      `invitation sent to ${formatName(peer.name)} over ${names}, own endpoint ${formatEndpoint(outer)}`,
    );

    const { opened: answer, invite } = await awaitAnswer(parts, carried, letters, session);
    const keys = shareKeys(own, answer, { invite, accept: answer.digest });
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

async function pushOn(
  link: Rendezvous,
  letters: ReadonlyMap<Rendezvous, SealedLetter>,
  signal: AbortSignal,
): Promise<void> {
  const sealed = letters.get(link);
  if (sealed) await link.push(sealed.letter, signal);
}

/** Refreshes the mapping while mail is under way: NATs forget idle UDP after 30 s. */
function keepOpen(parts: Parts, server: Endpoint, known: Endpoint, log: Logger) {
  const controller = new AbortController();
  void keepMapping(parts.socket, server, {
    known,
    signal: AbortSignal.any([parts.signal, controller.signal]),
    log,
    onChange: (endpoint) =>
      log.warning(
        `the NAT moved our endpoint from ${formatEndpoint(known)} to ${formatEndpoint(endpoint)} while the answer was under way`,
      ),
  });
  return () => controller.abort();
}

/** The first answer, over whichever link, that the pinned peer signed for this very invitation. */
async function awaitAnswer(
  parts: Parts,
  links: readonly Rendezvous[],
  letters: ReadonlyMap<Rendezvous, SealedLetter>,
  session: string,
): Promise<{ readonly opened: Opened; readonly invite: string }> {
  const { context, host, peer, begun } = parts;
  const { settings, seen, log } = context;
  const ms = settings.responseTimeoutMs ?? RESPONSE_TIMEOUT_MS;
  const limit = deadline(
    ms,
    () =>
      new AwlError('PEER_NO_ANSWER', `${formatName(peer.name)} did not answer within ${ms / 1000} s`, {
        hint: `is awl --accept --app-id=${settings.app} running there, with the certificate of ${formatName(host.name)} in its repository?`,
      }),
    parts.signal,
  );
  const filter: LetterFilter = {
    app: settings.app,
    kind: 'accept',
    to: host.name,
    from: peer.name,
    ...(host.cert && { toKey: publicKeyInfo(host.cert) }),
    ...(peer.cert && { fromKey: publicKeyInfo(peer.cert) }),
  };
  try {
    for await (const { link, envelope } of listenOnAll(links, filter, limit.signal)) {
      try {
        const invite = letters.get(link)?.digest ?? '';
        const opened = openLetter(link, envelope, {
          settings,
          kind: 'accept',
          host,
          peer,
          now: context.now(),
        });
        if (opened.extension && opened.extension.re !== invite) {
          throw new AwlError('MESSAGE_MISDIRECTED', 'the answer belongs to another invitation');
        }
        if (!(await seen.admit(opened.digest, context.now(), retentionOf(opened)))) {
          throw new AwlError('MESSAGE_REPLAYED', 'this answer was seen before');
        }
        // Deleting the mail must not hold up the punch.
        void envelope.ack();
        const took = Math.round(performance.now() - begun);
        context.emit({ event: 'answered', session, peer: formatName(peer.name), ms: took });
        return { opened, invite };
      } catch (error) {
        if (!isAwlError(error)) throw error;
        log.debug(`answer ${envelope.id} ignored: ${error.code}: ${error.message}`);
      }
    }
    limit.signal.throwIfAborted();
    const names = links.map(({ name }) => name).join(' and ');
    throw new AwlError('RENDEZVOUS_UNREACHABLE', `${names} ended while waiting for the answer`);
  } finally {
    limit.dispose();
  }
}
