import { AwlError, errorText } from '../errors.js';
import { publicKeyInfo } from '../identity/x509.js';
import { whyRefused } from '../punch/address-filter.js';
import { bindRelay } from '../relay/client.js';
import { type Endpoint, familyOf, formatEndpoint, sameEndpoint } from '../util/endpoint.js';
import { relaySession } from '../wire/relay.js';
import type { PunchingParts } from './punching.js';

/** How long an inviter waits for the peer at one relay where there is another: an acceptor is at both by then. */
const FIRST_RELAY_MS = 20_000;

/**
 * The relays of a session in the order in which an inviter tries them: its own one, then the acceptor's; those that
 * both can address. Both sides compute the same.
 */
export function relaysOf({ role, candidates, sockets, keys }: PunchingParts): Endpoint[] {
  if (!keys.confirmKey) return [];
  const family = familyOf(sockets.main.local);
  const { own, peer } = candidates;
  const [first, second] = (role === 'invite' ? [own, peer] : [peer, own]).map(
    (list) => list.find(({ type, endpoint }) => type === 'relay' && familyOf(endpoint) === family)?.endpoint,
  );
  const same = first && second && sameEndpoint(first, second);
  return [first, same ? undefined : second].flatMap((one) => one ?? []);
}

/** An address that the user typed needs no judging. */
export function isTyped({ candidates }: PunchingParts, relay: Endpoint): boolean {
  return candidates.own.some(({ type, endpoint }) => type === 'relay' && sameEndpoint(endpoint, relay));
}

/**
 * The relay at which both sides are. The inviter goes from one to the next; the acceptor is at all of them.
 * @throws AwlError what `bindRelay` says of the last one (inviter) or of the first one (acceptor); ADDRESS_REFUSED
 */
export function meetAtRelay(parts: PunchingParts, relays: readonly Endpoint[]): Promise<Endpoint> {
  return parts.role === 'invite' ? goFromOneToNext(parts, relays) : beAtAll(parts, relays);
}

async function goFromOneToNext(parts: PunchingParts, relays: readonly Endpoint[]): Promise<Endpoint> {
  for (const [index, relay] of relays.entries()) {
    const next = relays[index + 1];
    try {
      await bind(parts, relay, next && FIRST_RELAY_MS);
      return relay;
    } catch (error) {
      parts.signal?.throwIfAborted();
      if (!next) throw error;
      parts.log.warning(`${errorText(error)}; trying the relay ${formatEndpoint(next)}`);
    }
  }
  throw new AwlError('RELAY_UNREACHABLE', 'no relay is named');
}

async function beAtAll(parts: PunchingParts, relays: readonly Endpoint[]): Promise<Endpoint> {
  const met = new AbortController();
  const signal = AbortSignal.any([met.signal, ...(parts.signal ? [parts.signal] : [])]);
  const at = async (relay: Endpoint) => {
    await bind({ ...parts, signal }, relay);
    return relay;
  };
  try {
    return await Promise.any(relays.map(at));
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error;
  } finally {
    met.abort(new Error('the peer is at another relay'));
  }
}

/** Proves us to the relay, and waits there for the peer. */
async function bind(parts: PunchingParts, relay: Endpoint, waitMs?: number): Promise<void> {
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
    ...(waitMs !== undefined && { waitMs }),
    ...(signal && { signal }),
  });
}
