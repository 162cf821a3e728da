import { RESPONSE_TIMEOUT_MS } from '../constants.js';
import { AwlError, isAwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import { publicKeyInfo } from '../identity/x509.js';
import type { Logger } from '../log.js';
import type { Opened } from '../rendezvous/sealing.js';
import { retentionOf } from '../rendezvous/sealing-rules.js';
import type { LetterFilter, Rendezvous } from '../rendezvous/types.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import type { Candidate } from '../wire/extension.js';
import type { NatReport } from '../wire/nat-report.js';
import type { Terms } from '../wire/reference-terms.js';
import type { SessionContext } from './context.js';
import type { Contribution } from './contribution.js';
import { isPlexus, openLetter, type SealedLetter, sealLetter, sealOptions } from './exchange.js';
import { type Delivery, exchangeOnAll } from './links.js';
import type { HostParty, PeerParty } from './parties.js';
import type { SessionSettings } from './settings.js';

export interface AskOptions {
  readonly context: SessionContext;
  readonly session: string;
  readonly host: HostParty;
  readonly peer: PeerParty;
  /** Own endpoint, as the reference names it. */
  readonly outer: Endpoint;
  readonly own: Contribution;
  /** What the reference says beyond 3.0. */
  readonly terms?: Terms;
  /** What has been measured by now. */
  readonly nat: () => NatReport;
  readonly candidates: () => readonly Candidate[];
  /** Endpoints of the fresh sockets, as every letter of this session names them. */
  readonly fresh: readonly Endpoint[];
  /** Every link on its way to being ready. */
  readonly preparing: ReadonlyMap<Rendezvous, Promise<void>>;
  readonly begun: number;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** An answer, and the digest of the invitation that it answers. */
export interface Answer {
  readonly opened: Opened;
  readonly invite: string;
  /** A plexus gave it. */
  readonly plexus: boolean;
}

/**
 * Invites over every link side by side, each as soon as it is ready, and takes the first answer that the pinned peer
 * signed for this very invitation.
 * @throws AwlError PEER_NO_ANSWER, RENDEZVOUS_* if no link works
 */
export async function askPeer(asking: AskOptions): Promise<Answer> {
  const { context, host, peer, session, log } = asking;
  const letters = new Map<Rendezvous, SealedLetter>();
  const patience = new Patience(context.settings, host, peer, asking.signal);
  const filter: LetterFilter = {
    app: context.settings.app,
    kind: 'accept',
    to: host.name,
    from: peer.name,
    ...(host.cert && { toKey: publicKeyInfo(host.cert) }),
    ...(peer.cert && { fromKey: publicKeyInfo(peer.cert) }),
  };
  const send = async (link: Rendezvous, ended: AbortSignal) => {
    await asking.preparing.get(link);
    const sealed = sealOn(link, asking);
    letters.set(link, sealed);
    await link.push(sealed.letter, ended);
    if (!patience.begun) context.emit({ event: 'invited', session, peer: formatName(peer.name) });
    patience.begin();
    const to = `${formatName(peer.name)} over ${link.name}`;
    log.info(`invitation sent to ${to}, own endpoint ${formatEndpoint(asking.outer)}`);
  };
  try {
    const exchange = { send, filter, log, signal: patience.signal };
    for await (const { link, envelope } of exchangeOnAll(context.links, exchange)) {
      try {
        const answer = await verify(asking, { link, envelope }, letters.get(link)?.digest ?? '');
        // Deleting the mail must not hold up the punch.
        void envelope.ack();
        const took = Math.round(performance.now() - asking.begun);
        context.emit({ event: 'answered', session, peer: formatName(peer.name), ms: took });
        if (context.links.length > 1) log.info(`the answer came over ${link.name}`);
        return answer;
      } catch (error) {
        if (!isAwlError(error)) throw error;
        log.debug(`answer ${envelope.id} ignored: ${error.code}: ${error.message}`);
      }
    }
    patience.signal.throwIfAborted();
    const names = context.links.map(({ name }) => name).join(' and ');
    throw new AwlError('RENDEZVOUS_UNREACHABLE', `${names} ended while waiting for the answer`);
  } finally {
    patience.dispose();
  }
}

function sealOn(link: Rendezvous, asking: AskOptions): SealedLetter {
  const { context, host, peer, outer, own, nat } = asking;
  const { settings } = context;
  return sealLetter({
    link,
    kind: 'invite',
    app: settings.app,
    host,
    peer,
    outer,
    candidates: asking.candidates(),
    own,
    ...(asking.terms && { terms: asking.terms }),
    nat: nat(),
    fresh: asking.fresh,
    extended: true,
    now: context.now(),
    ...sealOptions(settings),
  });
}

/** @throws AwlError MESSAGE_* saying why this is not the answer */
async function verify(asking: AskOptions, { link, envelope }: Delivery, invite: string): Promise<Answer> {
  const { context, host, peer } = asking;
  const { settings, seen, now } = context;
  const opened = openLetter(link, envelope, { settings, kind: 'accept', host, peer, now: now() });
  if (opened.extension && opened.extension.re !== invite) {
    throw new AwlError('MESSAGE_MISDIRECTED', 'the answer belongs to another invitation');
  }
  if (!(await seen.admit(opened.digest, now(), retentionOf(opened)))) {
    throw new AwlError('MESSAGE_REPLAYED', 'this answer was seen before');
  }
  return { opened, invite, plexus: isPlexus(opened, envelope) };
}

/** How long the answer is waited for, once an invitation is on its way. */
class Patience {
  readonly signal: AbortSignal;
  readonly #over = new AbortController();
  readonly #ms: number;
  readonly #reason: () => AwlError;
  #timer: NodeJS.Timeout | undefined;

  constructor(settings: SessionSettings, host: HostParty, peer: PeerParty, signal: AbortSignal) {
    const ms = settings.responseTimeoutMs ?? RESPONSE_TIMEOUT_MS;
    this.#ms = ms;
    this.signal = AbortSignal.any([signal, this.#over.signal]);
    this.#reason = () =>
      new AwlError('PEER_NO_ANSWER', `${formatName(peer.name)} did not answer within ${ms / 1000} s`, {
        hint: `is awl --accept --app-id=${settings.app} running there, with the certificate of ${formatName(host.name)} in its repository?`,
      });
  }

  get begun(): boolean {
    return this.#timer !== undefined;
  }

  begin(): void {
    this.#timer ??= setTimeout(() => this.#over.abort(this.#reason()), this.#ms);
  }

  dispose(): void {
    clearTimeout(this.#timer);
  }
}
