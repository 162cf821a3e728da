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
import type { Candidate } from '../wire/extension.js';
import { relaySession } from '../wire/relay.js';
import type { Passage } from './passage.js';
import { openPassage, type PunchingParts, wrapPassage } from './punching.js';
import { ownRoute, type Route } from './route.js';
import type { SessionSettings } from './settings.js';

/** How long a direct way is looked for where a relay could do it instead: every rung of the ladder has its turn. */
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
  /** What the peer's letter says of the ways that it goes. */
  readonly peerRoute: Route;
}

/**
 * The way to the peer that both sides agree to: direct, or through a relay where no direct one was found or one side
 * wants no other. Both compute the same from the two letters.
 * @throws AwlError as `openPassage`; RELAY_REFUSED, RELAY_UNREACHABLE
 */
export async function openPath(parts: PathParts): Promise<Passage> {
  const { context, candidates, log } = parts;
  const ways = [ownRoute(context.settings), parts.peerRoute];
  const relay = ways.includes('direct') ? undefined : relayOf(parts);
  if (ways.includes('relay')) {
    if (relay) return throughRelay(parts, relay);
    throw noRelay(parts, ways.includes('direct'));
  }
  const direct = { ...parts, candidates: { own: named(candidates.own), peer: named(candidates.peer) } };
  if (!relay) return openPassage(direct);
  try {
    return await openPassage({ ...direct, patienceMs: DIRECT_FIRST_MS });
  } catch (error) {
    if (!isAwlError(error, ...NO_WAY)) throw error;
    log.warning(`${error.code}: ${error.message}; trying the relay ${formatEndpoint(relay)}`);
    return throughRelay(parts, relay);
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

async function throughRelay(parts: PathParts, relay: Endpoint): Promise<Passage> {
  const { context, candidates, sockets, role, keys, host, log, signal } = parts;
  const { settings } = context;
  // An address that the user typed needs no judging.
  const typed = candidates.own.some(
    ({ type, endpoint }) => type === 'relay' && sameEndpoint(endpoint, relay),
  );
  const why = typed ? undefined : whyRefused(relay, settings);
  if (why !== undefined) {
    throw new AwlError('ADDRESS_REFUSED', `the peer names a relay at ${formatEndpoint(relay)}: ${why}`, {
      hint: 'if it is yours, name it with --relay-server on this side, too',
    });
  }
  if (!host.cert || !host.key || !keys.confirmKey) {
    throw new AwlError('RELAY_REFUSED', 'a relay needs a certificate of our own, and awl on both sides');
  }
  const { main: socket } = sockets;
  await bindRelay({
    ...{ socket, relay, role, key: host.key },
    session: relaySession(keys.confirmKey),
    publicKey: publicKeyInfo(host.cert),
    ...(signal && { signal }),
  });
  const result = await punch({
    socket,
    role,
    secret: keys.secret,
    peer: relay,
    hops: RELAY_HOPS,
    confirmKey: keys.confirmKey,
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
