import { RESPONSE_TIMEOUT_MS } from '../constants.js';
import { AwlError, errorText, isAwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import type { Opened } from '../rendezvous/sealing.js';
import { formatEndpoint } from '../util/endpoint.js';
import { deadline } from '../util/sleep.js';
import { UdpSocket } from '../util/udp.js';
import { type NatReport, UNMEASURED } from '../wire/nat-report.js';
import { newSessionId, type SessionContext } from './context.js';
import { newContribution, sealLetter, sealOptions, shareKeys } from './exchange.js';
import type { Delivery } from './links.js';
import type { HostParty, PeerParty } from './parties.js';
import type { Passage } from './passage.js';
import { openPassage } from './punching.js';
import { findReflexive } from './reflexive.js';

export interface AnsweringParts {
  readonly context: SessionContext;
  readonly host: HostParty;
  readonly peer: PeerParty;
  /** The verified invitation, the envelope it came in, and the rendezvous that brought it. */
  readonly invitation: Opened;
  readonly delivery: Delivery;
  /** Own NAT, as far as known. */
  readonly nat: NatReport;
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
  let socket: UdpSocket | undefined;
  log.info(`invitation of ${name}, its endpoint ${formatEndpoint(parts.invitation.reference.endpoint)}`);
  try {
    socket = await UdpSocket.bind(context.settings.bind);
    return await answerOn(socket, session, parts, log);
  } catch (error) {
    await socket?.close();
    if (signal.aborted) return undefined;
    const known = isAwlError(error) ? error : new AwlError('INTERNAL', errorText(error), { cause: error });
    log.error(
      `session with ${name} failed: ${known.code}: ${known.message}${known.hint ? ` (${known.hint})` : ''}`,
    );
    context.emit({
      event: 'failed',
      session,
      peer: name,
      code: known.code,
      message: known.message,
      ...(known.hint && { hint: known.hint }),
    });
    return undefined;
  }
}

async function answerOn(
  socket: UdpSocket,
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

  const { outer } = await findReflexive(socket, settings.stun, signal);
  emit({
    event: 'stun',
    session,
    inner: formatEndpoint(socket.local),
    outer: formatEndpoint(outer),
    ms: Math.round(performance.now() - begun),
  });
  const own = newContribution();
  const { letter, digest } = sealLetter({
    link,
    kind: 'accept',
    app: settings.app,
    host,
    peer,
    outer,
    own,
    nat,
    extended: invitation.extension !== undefined,
    answers: { digest: invitation.digest, envelope: envelope.id },
    now: context.now(),
    ...sealOptions(settings),
  });
  const keys = shareKeys(own, invitation, { invite: invitation.digest, accept: digest });
  // The opening packet leaves while the answer is under way: the hole must be there when the inviter knocks.
  const pushing = pushAnswer();
  pushing.catch((error) => failed.abort(error));
  const [passage] = await Promise.all([
    openPassage({
      context,
      session,
      role: 'accept',
      host,
      peer,
      socket,
      outer,
      target: invitation.reference.endpoint,
      keys,
      reports: { own: nat, peer: invitation.extension?.nat ?? UNMEASURED },
      begun,
      log,
      signal,
    }),
    pushing,
  ]);
  return passage;

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
