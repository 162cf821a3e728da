import { isIP } from 'node:net';
import { HANDSHAKE_TIMEOUT_MS } from '../constants.js';
import { AwlError, errorText, isAwlError } from '../errors.js';
import { formatName } from '../identity/names.js';
import { publicKeyInfo } from '../identity/x509.js';
import type { Logger } from '../log.js';
import { whyRefused } from '../punch/address-filter.js';
import { punch } from '../punch/puncher.js';
import { bindRelay } from '../relay/client.js';
import { type Endpoint, familyOf, formatEndpoint, sameEndpoint } from '../util/endpoint.js';
import { formatHostPort } from '../util/host-port.js';
import { lookupName } from '../util/name-lookup.js';
import { sleep } from '../util/sleep.js';
import type { Candidate } from '../wire/extension.js';
import { relaySession } from '../wire/relay.js';
import type { SessionContext } from './context.js';
import type { Passage } from './passage.js';
import { openPassage, type PunchingParts, wrapPassage } from './punching.js';
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
  const relay = ways.includes('direct') ? undefined : relayOf(parts);
  if (ways.includes('relay')) {
    if (relay) return throughRelay(parts, relay);
    throw noRelay(parts, ways.includes('direct'));
  }
  const direct = { ...parts, candidates: { own: named(candidates.own), peer: named(candidates.peer) } };
  if (!relay) return openPassage(direct);
  const standby = parts.role === 'accept' ? new Standby(parts, relay, standbyMs) : undefined;
  const limits = standby ? { signal: standby.signal } : { patienceMs: DIRECT_FIRST_MS };
  try {
    return await openPassage({ ...direct, ...limits });
  } catch (error) {
    const at = formatEndpoint(relay);
    if (standby?.met) log.warning(`the peer found no direct path; taking the relay ${at}`);
    else if (!isAwlError(error, ...NO_WAY)) throw error;
    else log.warning(`${error.code}: ${error.message}; trying the relay ${at}`);
    return await throughRelay(parts, relay, standby?.now());
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
  readonly #bound: Promise<void>;

  constructor(parts: PathParts, relay: Endpoint, ms: number) {
    const { signal } = parts;
    this.signal = AbortSignal.any([this.#met.signal, ...(signal ? [signal] : [])]);
    const over = AbortSignal.any([this.#over.signal, ...(signal ? [signal] : [])]);
    const patience = sleep(ms, AbortSignal.any([over, this.#hurry.signal])).catch(() => {});
    this.#bound = patience.then(() => bind({ ...parts, signal: over }, relay));
    this.#bound.then(
      () => this.#met.abort(new Error('the peer is at the relay')),
      () => {},
    );
  }

  get met(): boolean {
    return this.#met.signal.aborted;
  }

  /** Goes there at once, if it is not there yet. */
  now(): Promise<void> {
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

/** The inviter's relay, else the acceptor's: one that both can address. */
function relayOf({ role, candidates, sockets, keys }: PathParts): Endpoint | undefined {
  const { own, peer } = candidates;
  const all = role === 'invite' ? [...own, ...peer] : [...peer, ...own];
  const family = familyOf(sockets.main.local);
  const relays = all.filter(({ type, endpoint }) => type === 'relay' && familyOf(endpoint) === family);
  return keys.confirmKey && relays[0]?.endpoint;
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

/** An address that the user typed needs no judging. */
function isTyped({ candidates }: PathParts, relay: Endpoint): boolean {
  return candidates.own.some(({ type, endpoint }) => type === 'relay' && sameEndpoint(endpoint, relay));
}

/** Proves us to the relay, and waits there for the peer. */
async function bind(parts: PathParts, relay: Endpoint): Promise<void> {
  const { context, sockets, role, keys, host, signal } = parts;
  const why = isTyped(parts, relay) ? undefined : whyRefused(relay, context.settings);
  if (why !== undefined) {
    throw new AwlError('ADDRESS_REFUSED', `the peer names a relay at ${formatEndpoint(relay)}: ${why}`, {
      hint: 'if it is yours, name it with --relay-server on this side, too',
    });
  }
  if (!host.cert || !host.key || !keys.confirmKey) {
    throw new AwlError('RELAY_REFUSED', 'a relay needs a certificate of our own, and awl on both sides');
  }
  signal?.throwIfAborted();
  await bindRelay({
    ...{ socket: sockets.main, relay, role, key: host.key },
    session: relaySession(keys.confirmKey),
    publicKey: publicKeyInfo(host.cert),
    ...(signal && { signal }),
  });
}

async function throughRelay(
  parts: PathParts,
  relay: Endpoint,
  bound: Promise<void> = bind(parts, relay),
): Promise<Passage> {
  const { context, sockets, role, keys, log, signal } = parts;
  const { settings } = context;
  const typed = isTyped(parts, relay);
  await bound;
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
