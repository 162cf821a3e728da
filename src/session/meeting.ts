import { AwlError } from '../errors.js';
import { whyRefused } from '../punch/address-filter.js';
import { alienOf, canSyncByUdp, holeOf, type Side, sideOf, syncTime } from '../punch/contract.js';
import { knockTcp } from '../punch/tcp-knock.js';
import { formatEndpoint } from '../util/endpoint.js';
import { sleep } from '../util/sleep.js';
import type { Reference } from '../wire/reference.js';
import { formatQos } from '../wire/reference-terms.js';
import type { Passage } from './passage.js';
import { openPassage, wrapPassage } from './punching.js';
import { openPath, type PathParts } from './relaying.js';
import type { TcpMapping } from './tcp-mapping.js';
import { type Deal, dealOf } from './terms.js';
import { checkUse, ownUse } from './use.js';

/** A client's program starts this much later than the server's (plexus' PLEXUS_CONNECT_DELAY, spec a.5). */
const CLIENT_DELAY_MS = 1_000;

export interface MeetingParts extends PathParts {
  readonly references: { readonly own: Reference; readonly peer: Reference };
  readonly tcp?: TcpMapping;
}

/**
 * Meets the peer as both references agree: by punching UDP, and where the payload speaks TCP by opening our NAT for it
 * and starting both programs together (spec g.2); they make the connection themselves.
 * @throws AwlError TERMS_UNMET, TUNNEL_REFUSED where the peer starts a program and we a tunnel, and as `openPassage`
 */
export async function meet(parts: MeetingParts): Promise<Passage> {
  const { role, references, log } = parts;
  checkUse(ownUse(parts.context.settings), parts.abilities.use, log);
  const deal = dealOf(role, references.own, references.peer);
  if (!deal) return openPath(parts);
  const qos = formatQos({ proto: deal.transport, role: deal.role });
  log.info(`agreed on ${qos} with the peer`);
  if (deal.transport === 'udp') return { ...(await openPath(parts)), qos };
  return { ...(await overTcp(parts, deal)), qos };
}

async function overTcp(parts: MeetingParts, deal: Deal): Promise<Passage> {
  const { context, references, tcp, signal } = parts;
  const peer = sideOf(references.peer);
  const own = sideOf(references.own);
  const hole = holeOf(peer, deal.transport);
  const alien = alienOf(hole);
  if (!tcp || !hole.endpoint || !alien) {
    throw new AwlError('INTERNAL', 'an agreement on TCP without endpoints');
  }
  const why = whyRefused(hole.endpoint, context.settings);
  if (why !== undefined) {
    const at = formatEndpoint(hole.endpoint);
    throw new AwlError('ADDRESS_REFUSED', `the peer asks to be reached over TCP at ${at}: ${why}`, {
      hint: 'if both sides are in one network, allow private addresses; else the peer needs a public STUN server',
    });
  }
  if (deal.role === 'server' && tcp.hole.nat.nat) await knockTcp(tcp.local, hole.endpoint);
  const place = { transport: 'tcp', inner: tcp.local, outer: tcp.hole.endpoint, alien } as const;
  const passage = canSyncByUdp(own, peer)
    ? await openPassage({ ...parts, place })
    : await byClock({ ...parts, place }, deal, own, peer);
  if (canSyncByUdp(own, peer) && deal.role === 'client') await sleep(CLIENT_DELAY_MS, signal);
  return {
    ...passage,
    close: async () => {
      await Promise.all([passage.close(), tcp.release()]);
    },
  };
}

/** Nothing is sent: both sides wait for the same moment (spec g.2). */
async function byClock(parts: MeetingParts, deal: Deal, own: Side, peer: Side): Promise<Passage> {
  const { context, references, log, signal } = parts;
  const now = context.now().getTime() * 1000;
  const times = [references.own, references.peer].map(({ terms }) => terms?.time ?? now) as [number, number];
  const waitMs = Math.max(0, (syncTime(times, now, deal.role) - now) / 1000);
  const who =
    own.udp.endpoint && peer.udp.endpoint ? 'UDP does not pass between both' : 'one side has no UDP';
  log.info(`${who}: the program starts by the clock, in ${(waitMs / 1000).toFixed(1)} s`);
  await sleep(waitMs, signal);
  return wrapPassage(parts, {
    alien: peer.tcp.endpoint ?? parts.target,
    how: 'by the clock',
    confirmed: false,
  });
}
