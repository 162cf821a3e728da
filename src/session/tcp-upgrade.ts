import { errorText } from '../errors.js';
import type { Logger } from '../log.js';
import { isAllowedTarget } from '../punch/address-filter.js';
import { openTcp } from '../punch/tcp-open.js';
import { greet } from '../tunnel/greeting.js';
import { tcpCarrier } from '../tunnel/tls.js';
import type { Tunnel } from '../tunnel/tunnel.js';
import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import { sleep } from '../util/sleep.js';
import type { TunnelHello } from '../wire/tunnel-hello.js';
import { decodeOffer, encodeOffer, type TunnelOffer } from '../wire/tunnel-offer.js';
import { deriveTunnelTcpKeys } from '../wire/tunnel-tcp-keys.js';
import { RELAYED } from './carrying.js';
import type { Passage } from './passage.js';
import { findTcpPlaces, type TcpUpgradeSettings } from './tcp-places.js';
import { TcpRace } from './tcp-race.js';

/** From our offer to the end of all tries; the tunnel runs over UDP meanwhile. */
const UPGRADE_MS = 8_000;
/** How much of a measured round trip is believed when both sides are to start together. */
const HEADSTART_MAX_MS = 500;
/**
 * Where the peer listens, that comes before meeting halfway: Linux takes the round trip of two SYNs that cross for shorter than it
 * is, by up to the whole of it, and BBR then sends a hundredth of what the path carries for ten seconds.
 */
const OPEN_FIRST_MS = 20;

export interface UpgradeParts {
  readonly tunnel: Tunnel;
  /** The UDP passage that the tunnel runs on now. */
  readonly passage: Passage;
  readonly hello: TunnelHello;
  readonly settings: TcpUpgradeSettings;
  readonly log: Logger;
}

/**
 * Tries to move a tunnel from UDP to TCP and TLS, beside its traffic: both sides tell each other over the tunnel where they
 * are, connect at the same time, prove each other, and the tunnel goes on over what came of it. Where nothing did,
 * it stays where it is. Never rejects.
 */
export async function upgradeToTcp(parts: UpgradeParts): Promise<void> {
  const { tunnel, passage, hello, log } = parts;
  const { sessionKey } = passage;
  if (!sessionKey || !hello.tcp || !tunnel.peerHello.tcp) return;
  // Whether a relayed path may become a direct one is decided elsewhere, and the address there is the relay's.
  if (passage.how === RELAYED) return;
  const stop = new AbortController();
  const end = () => stop.abort(new Error('the tunnel ended'));
  void tunnel.closed.then(end, end);
  const timer = setTimeout(() => stop.abort(new Error('it took too long')), UPGRADE_MS);
  try {
    await move(parts, sessionKey, stop.signal);
  } catch (error) {
    log.info(`the tunnel stays on UDP: TCP did not come about (${errorText(error)})`);
  } finally {
    clearTimeout(timer);
    stop.abort(new Error('it is over'));
  }
}

async function move(parts: UpgradeParts, sessionKey: Buffer, signal: AbortSignal): Promise<void> {
  const { tunnel, passage, settings, log } = parts;
  const { role } = passage;
  const keys = deriveTunnelTcpKeys(sessionKey);
  const race = new TcpRace(role, keys, signal);
  const offered = new Promise<TunnelOffer>((resolve, reject) => {
    tunnel.onOffer((text) => {
      try {
        resolve(decodeOffer(text));
      } catch (error) {
        reject(error);
      }
    });
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  offered.catch(() => {});
  const listening = role === 'accept' && {
    onConnection: (socket: Parameters<TcpRace['enter']>[0]) => race.enter(socket),
  };
  const places = await findTcpPlaces({ passage, settings, log, signal, ...listening });
  try {
    // The inviter begins; the acceptor answers and gives that half a round trip before it starts, too.
    if (role === 'invite') tunnel.offer(encodeOffer(places.offer));
    const theirs = await offered;
    const halfway = Math.min(HEADSTART_MAX_MS, (tunnel.stats.rttMs ?? passage.rttMs ?? 0) / 2);
    if (role === 'accept') {
      tunnel.offer(encodeOffer(places.offer));
      await sleep(halfway, signal);
    }
    const targets = (list: readonly Endpoint[]) => list.filter((one) => mayConnect(one, passage, settings));
    const open = targets(theirs.open);
    const meet = async (peer: Endpoint) => {
      if (open.length > 0) await sleep(halfway + OPEN_FIRST_MS, signal).catch(() => {});
      return openTcp({ local: places.local, peer, signal });
    };
    const tries = [
      ...open.map((peer) => openTcp({ local: { address: places.local.address, port: 0 }, peer, signal })),
      ...targets(theirs.at).map(meet),
    ].map(async (opening) => {
      const socket = await opening;
      if (socket) race.enter(socket);
    });
    const socket = await Promise.race([race.won, nothing(tries, role)]);
    const peer = { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 };
    log.debug(`TCP to ${formatEndpoint(peer)} is proven`);
    await goOn(parts, socket, peer, keys);
  } finally {
    race.end();
    await places.close();
  }
}

/** Rejects when the last try came to nothing and nobody can come to us either, but for what is being proved. */
async function nothing(tries: readonly Promise<void>[], role: Passage['role']): Promise<never> {
  await Promise.all(tries);
  await sleep(role === 'accept' ? 2_000 : 1_000);
  throw new Error('neither side got through');
}

async function goOn(
  { tunnel, passage, hello }: UpgradeParts,
  socket: Parameters<typeof tcpCarrier>[0],
  peer: Endpoint,
  keys: ReturnType<typeof deriveTunnelTcpKeys>,
): Promise<void> {
  const datagrams = tunnel.carrier?.keepDatagrams?.();
  const carrier = tcpCarrier(socket, passage.role, keys, { peer, ...(datagrams && { datagrams }) });
  const inviting = passage.role === 'invite';
  const greeted = await greet({ carrier, hello: { ...hello, ...(inviting && { resume: tunnel.token }) } });
  if (!inviting && !greeted.hello.resume?.equals(tunnel.token)) {
    await greeted.link.close(0);
    throw new Error('the peer means another tunnel');
  }
  await tunnel.attach(greeted);
}

/** What the address filter allows, and the very address at which UDP found the peer. */
function mayConnect(to: Endpoint, { alien }: Passage, settings: TcpUpgradeSettings): boolean {
  if (to.port < 1024) return false;
  return to.address === alien.address || isAllowedTarget(to, settings);
}
