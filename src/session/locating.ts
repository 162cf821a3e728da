import { PROBE_GRACE_MS } from '../constants.js';
import { isMoving } from '../punch/feasibility.js';
import { resolveServers } from '../stun/resolve.js';
import type { Endpoint } from '../util/endpoint.js';
import { sleep } from '../util/sleep.js';
import type { NatReport } from '../wire/nat-report.js';
import { Gathering, type GatheringParts } from './candidates.js';
import { FRESH_GRACE_MS } from './fresh.js';
import { findReflexive, type Reflexive } from './reflexive.js';
import type { SessionSettings } from './settings.js';
import type { SessionSockets } from './sockets.js';

export interface LocatingParts extends Pick<GatheringParts, 'log' | 'signal'> {
  readonly sockets: SessionSockets;
  readonly settings: Pick<SessionSettings, 'stun' | 'candidates'>;
  /** Own NAT, as far as known. */
  readonly report: NatReport;
  /** Will the message name further sockets? */
  readonly fresh: boolean;
  /** Waits for what else is under way only so long; default: the gathering's own signal. */
  readonly waiting?: AbortSignal;
  /** Called once STUN has answered, before the rest is waited for. */
  readonly onSeen?: (outer: Endpoint) => void;
}

export interface Located<Seen = Reflexive> {
  /** What the STUN servers said. */
  readonly seen: Seen;
  readonly gathering: Gathering;
}

/**
 * Finds out where the sockets of a side are seen, and by which addresses else they may be reached.
 * @param orElse what to make of STUN's failure; `seen` is then undefined, as it is where no server is named
 * @throws AwlError STUN_UNREACHABLE, or what `orElse` throws; the signal's reason
 */
export function locate(parts: LocatingParts): Promise<Located>;
export function locate(
  parts: LocatingParts,
  orElse: (error: unknown) => undefined,
): Promise<Located<Reflexive | undefined>>;
export async function locate(
  parts: LocatingParts,
  orElse?: (error: unknown) => undefined,
): Promise<Located<Reflexive | undefined>> {
  const { sockets, settings, report, log, signal, waiting = signal } = parts;
  const { stun, candidates } = settings;
  let seen: Reflexive | undefined;
  const gathering = new Gathering({
    ...{ sockets, stun, log, signal },
    ...(candidates && { kinds: candidates }),
    reflexive: () => seen?.all ?? [],
  });
  // Behind a NAT that gives each destination another endpoint, the others show which one comes next.
  const graceMs = report.mapping === 'endpoint-independent' ? 0 : PROBE_GRACE_MS;
  const locating = parts.fresh && !isMoving(report) ? locateFresh(parts) : undefined;
  if (stun.length > 0 || !orElse) {
    const finding = findReflexive(sockets.main, stun, { signal, graceMs });
    seen = await (orElse ? finding.catch(orElse) : finding);
  }
  if (seen) parts.onSeen?.(seen.outer);
  await gathering.ready(report, waiting);
  if (locating) await Promise.race([locating, sleep(FRESH_GRACE_MS)]);
  return { seen, gathering };
}

async function locateFresh({ sockets, settings: { stun }, signal }: LocatingParts): Promise<void> {
  if (stun.length === 0) return;
  const servers = await resolveServers(stun, sockets.main.local, signal).catch(() => []);
  await sockets.fresh.locate(servers, signal);
}
