import { isIP } from 'node:net';
import { HANDSHAKE_TIMEOUT_MS } from '../constants.js';
import { AwlError, errorText, isAwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import type { Logger } from '../log.js';
import { punch } from '../punch/puncher.js';
import { type Endpoint, familyOf, formatEndpoint, sameEndpoint } from '../util/endpoint.js';
import { formatHostPort } from '../util/host-port.js';
import { lookupName } from '../util/name-lookup.js';
import { sleep } from '../util/sleep.js';
import type { Candidate } from '../wire/extension.js';
import type { SessionContext } from './context.js';
import type { Passage } from './passage.js';
import { openPassage, type PunchingParts, wrapPassage } from './punching.js';
import { isTyped, meetAtRelay, relaysOf } from './relay-meeting.js';
import { ownRoute, type Route } from './route.js';
import type { SessionSettings } from './settings.js';

/** An acceptor stands by at the relay from then on: direct paths are mostly found before. */
const STANDBY_MS = 10_000;
/** How long an inviter looks for a direct way where a relay could do it instead: every rung of the ladder has its turn. */
const DIRECT_FIRST_MS = 15_000;
const LOOKUP_MS = 3000;
/** A relay is no NAT whose other side must not be reached. */
const RELAY_HOPS = 64;

/** What makes a relay worth trying: both sides are there, and no direct way was found between them. */
const NO_WAY = ['HANDSHAKE_TIMEOUT', 'NAT_IMPOSSIBLE', 'ADDRESS_REFUSED'] as const;

/** The own relay as the peer is told it; none where none is named or its name is unknown just now. Never rejects. */
export async function relayCandidates(
  { relay, route }: SessionSettings,
  local: Endpoint,
  log: Logger,
): Promise<Candidate[]> {
  if (!relay || route === 'direct') return [];
  const family = familyOf(local);
  try {
    const literal = isIP(relay.host);
    if (literal !== 0 && literal !== family) throw new Error(`it is no IPv${family} address`);
    const signal = AbortSignal.timeout(LOOKUP_MS);
    const address = literal ? relay.host : await lookupName(relay.host, family, signal);
    return [{ type: 'relay', endpoint: { address, port: relay.port } }];
  } catch (error) {
    log.warning(`going on without the relay ${formatHostPort(relay)}: ${errorText(error)}`);
    return [];
  }
}

export interface PathParts extends PunchingParts {
  readonly context: SessionContext;
  /** What the peer's letter says of the ways that it goes. */
  readonly peerRoute: Route;
}

/**
 * The way to the peer that both sides agree to: direct, or through a relay where no direct one was found or one side
 * wants no other. Both compute the same from the two letters.
 * @param standbyMs when an acceptor is at the relay, too; tests shorten it
 * @throws AwlError as `openPassage`; RELAY_REFUSED, RELAY_UNREACHABLE
 */
export async function openPath(parts: PathParts, standbyMs = STANDBY_MS): Promise<Passage> {
  const { context, candidates, log } = parts;
  const ways = [ownRoute(context.settings), parts.peerRoute];
  const relays = ways.includes('direct') ? [] : relaysOf(parts);
  if (ways.includes('relay')) {
    if (relays.length > 0) return throughRelay(parts, meetAtRelay(parts, relays));
    throw noRelay(parts, ways.includes('direct'));
  }
  const direct = { ...parts, candidates: { own: named(candidates.own), peer: named(candidates.peer) } };
  if (relays.length === 0) return openPassage(direct);
  const standby = parts.role === 'accept' ? new Standby(parts, relays, standbyMs) : undefined;
  const limits = standby ? { signal: standby.signal } : { patienceMs: DIRECT_FIRST_MS };
  try {
    return await openPassage({ ...direct, ...limits });
  } catch (error) {
    const at = relays.map(formatEndpoint).join(' or ');
    if (standby?.met) log.warning('the peer found no direct path; taking the relay, too');
    else if (!isAwlError(error, ...NO_WAY)) throw error;
    else log.warning(`${error.code}: ${error.message}; trying the relay ${at}`);
    return await throughRelay(parts, standby?.now() ?? meetAtRelay(parts, relays));
  } finally {
    standby?.end();
  }
}

/**
 * An acceptor does not know when its answer arrives: mail takes a minute. So it punches on while it waits at the relay,
 * where the inviter comes if a direct path was not found.
 */
class Standby {
  /** Aborts when the peer is at the relay, or with the session. */
  readonly signal: AbortSignal;
  readonly #met = new AbortController();
  readonly #hurry = new AbortController();
  readonly #over = new AbortController();
  readonly #bound: Promise<Endpoint>;

  constructor(parts: PathParts, relays: readonly Endpoint[], ms: number) {
    const { signal } = parts;
    this.signal = AbortSignal.any([this.#met.signal, ...(signal ? [signal] : [])]);
    const over = AbortSignal.any([this.#over.signal, ...(signal ? [signal] : [])]);
    const patience = sleep(ms, AbortSignal.any([over, this.#hurry.signal])).catch(() => {});
    this.#bound = patience.then(() => meetAtRelay({ ...parts, signal: over }, relays));
    this.#bound.then(
      () => this.#met.abort(new Error('the peer is at the relay')),
      () => {},
    );
  }

  get met(): boolean {
    return this.#met.signal.aborted;
  }

  /** Goes there at once, if it is not there yet. */
  now(): Promise<Endpoint> {
    this.#hurry.abort();
    return this.#bound;
  }

  end(): void {
    this.#over.abort(new Error('the session has its path'));
  }
}

function named(candidates: readonly Candidate[]): readonly Candidate[] {
  return candidates.filter(({ type }) => type !== 'relay');
}

function noRelay({ peer, context }: PathParts, direct: boolean): AwlError {
  const who = formatName(peer.name);
  const ours = ownRoute(context.settings);
  if (!direct) {
    return new AwlError('RELAY_REFUSED', `${who} and this side want a relay, but neither names one`, {
      hint: 'name a machine of yours that runs awl hub --relay with --relay-server, on one side or both',
    });
  }
  const [wants, not] = ours === 'relay' ? ['this side', who] : [who, 'this side'];
  return new AwlError('RELAY_REFUSED', `${wants} goes through a relay only, and ${not} not at all`, {
    hint: 'give the other side --route=either, or this one another --route',
  });
}

async function throughRelay(parts: PathParts, meeting: Promise<Endpoint>): Promise<Passage> {
  const { context, sockets, role, keys, log, signal } = parts;
  const { settings } = context;
  const relay = await meeting;
  const typed = isTyped(parts, relay);
  const result = await punch({
    socket: sockets.main,
    role,
    secret: keys.secret,
    peer: relay,
    hops: RELAY_HOPS,
    ...(keys.confirmKey && { confirmKey: keys.confirmKey }),
    timeoutMs: settings.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS,
    ...((typed || settings.allowPrivate) && { allowPrivate: true }),
    ...((typed || settings.allowLoopback) && { allowLoopback: true }),
    ...(signal && { signal }),
    log,
  });
  const relayed = sameEndpoint(result.peer, relay);
  if (relayed) {
    log.warning(
      settings.exec
        ? `the path leads through the relay ${formatEndpoint(relay)} and stays there; it can read whatever the program does not encrypt`
        : `the path leads through the relay ${formatEndpoint(relay)}, which sees encrypted bytes`,
    );
  }
  return wrapPassage(parts, { ...result, alien: result.peer, how: relayed ? 'relay' : result.how });
}
