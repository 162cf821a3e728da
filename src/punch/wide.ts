import type { NatReport } from '../wire/nat-report.js';
import { isForetold, isMoving, mayMove } from './feasibility.js';
import {
  AWAITED_STEPS,
  AWAITING_SOCKETS,
  AWAITING_WAVES_MS,
  BIRTHDAY_FIRST,
  BIRTHDAY_SOCKETS,
  MEETING_STEPS,
  MEETING_WAVES_MS,
  NEAR_STEPS,
  PREDICTED_STEPS,
  SECOND_HOPS,
  SPREAD_AGAIN_MS,
  SPREAD_EVERY_MS,
  SPREAD_FURTHER_MS,
  SPREAD_GAP_MS,
  SPREAD_LATER_WAVES_MS,
  SPREAD_WAVES_MS,
  SWEEP_GAP_MS,
  SWEEP_PROBES,
  SWEEP_SLOW_GAP_MS,
  WIDE_LAST_MS,
  WIDE_LATER_MS,
  WIDE_MAX_DATAGRAMS,
  WIDE_SOON_MS,
  WIDE_UNSURE_MS,
} from './limits.js';
import type { Attempt, PlanInput } from './plan.js';
import { portAfter } from './ports.js';

/**
 * What a side does where a NAT chooses a new port for each destination: `spread` sends from many sockets to the peer's one
 * endpoint, `sweep` from one socket to many ports of the peer, `meet` from many sockets to one port that the
 * peer's counting NAT is about to give out, `await` from many sockets to the few ports of which one will be the peer's.
 */
export interface Tactic {
  readonly kind: 'spread' | 'sweep' | 'meet' | 'await' | 'none';
  readonly startMs: number;
}

/**
 * Both sides come to matching tactics from the same two reports. Two NATs that both move and do not both count are beyond
 * any decent number of datagrams, each probe meeting each mapping in one of 64 512 cases, unless one of them counts and
 * gives a socket one port for the whole of the peer's address.
 */
export function tacticOf({ role, own, peer }: Pick<PlanInput, 'role' | 'own' | 'peer'>): Tactic {
  const [ours, theirs] = [isMoving(own.report), isMoving(peer.report)];
  if (ours && theirs) {
    const both = own.report.portStep !== undefined && peer.report.portStep !== undefined;
    if (both) return { kind: 'meet', startMs: 0 };
    if (isForetold(own.report)) return { kind: 'sweep', startMs: WIDE_SOON_MS };
    return { kind: isForetold(peer.report) ? 'await' : 'none', startMs: 0 };
  }
  if (ours) return { kind: 'spread', startMs: startFor(peer.report) };
  if (theirs) return { kind: 'sweep', startMs: startFor(own.report) };
  const [mayWe, mayThey] = [mayMove(own.report), mayMove(peer.report)];
  if (mayWe !== mayThey) return { kind: mayWe ? 'spread' : 'sweep', startMs: WIDE_LATER_MS };
  return { kind: role === 'accept' ? 'spread' : 'sweep', startMs: WIDE_LAST_MS };
}

/** Behind other filters the peer is found without: the moving side's knock comes in, from whatever port. */
function startFor({ filtering }: NatReport): number {
  if (filtering === 'not-measured') return WIDE_UNSURE_MS;
  return filtering === 'address-and-port-dependent' ? WIDE_SOON_MS : WIDE_LATER_MS;
}

/** The attempts of the predicted and the birthday rung. */
export function wideAttempts(input: PlanInput, { kind, startMs }: Tactic): Attempt[] {
  if (kind === 'none') return [];
  if (kind === 'sweep') return sweep(input, startMs);
  return kind === 'await' ? awaitPeer(input) : spread(input, kind, startMs);
}

function spread(
  { own, peer, role, hops, measured }: PlanInput,
  kind: 'spread' | 'meet',
  startMs: number,
): Attempt[] {
  const rung = own.report.portStep === undefined ? 'birthday' : 'predicted';
  const [port = 0] = portsAhead(peer, [MEETING_STEPS]);
  const endpoint = kind === 'meet' ? { address: peer.endpoint.address, port } : peer.endpoint;
  // In a meeting nobody else knocks, so the side that comes second does.
  const loud = kind === 'meet' && role === 'invite';
  const first: Attempt = {
    rung,
    startMs,
    socket: BIRTHDAY_FIRST,
    sockets: BIRTHDAY_SOCKETS,
    target: { kind: 'endpoint', endpoint },
    ...(!loud && { ttl: measured ? hops : Math.min(hops, SECOND_HOPS) }),
    wavesMs: loud ? MEETING_WAVES_MS : SPREAD_WAVES_MS,
    everyMs: SPREAD_EVERY_MS,
    gapMs: SPREAD_GAP_MS,
    packets: WIDE_MAX_DATAGRAMS,
    wide: true,
  };
  const more = (afterMs: number, set: number): Attempt => {
    const { everyMs: _once, ...rest } = first;
    const socket = BIRTHDAY_FIRST + set * BIRTHDAY_SOCKETS;
    return { ...rest, startMs: startMs + afterMs, socket, wavesMs: SPREAD_LATER_WAVES_MS };
  };
  const out = kind === 'meet' ? [first] : [first, more(SPREAD_AGAIN_MS, 1)];
  if (loud || measured || hops <= SECOND_HOPS) return out;
  return [...out, { ...more(SPREAD_FURTHER_MS, 2), ttl: hops }];
}

function sweep({ role, peer }: PlanInput, startMs: number): Attempt[] {
  const { address } = peer.endpoint;
  const step = peer.report.portStep;
  const common = { socket: 0, sockets: 1, wide: true } as const;
  const probes = (from: number, gapMs: number): Attempt => ({
    ...common,
    rung: 'birthday',
    startMs: from,
    target: { kind: 'sweep', address, count: SWEEP_PROBES },
    wavesMs: [0],
    gapMs,
    packets: SWEEP_PROBES,
  });
  // An acceptor's spread began before its answer reached the inviter.
  const gapMs = role === 'invite' ? SWEEP_GAP_MS : SWEEP_SLOW_GAP_MS;
  const quick = startMs + (step === undefined ? 0 : WIDE_LATER_MS);
  const out = [probes(quick, SWEEP_GAP_MS), probes(quick + SWEEP_PROBES * SWEEP_GAP_MS, gapMs)];
  if (step !== undefined) {
    const ports = portsAhead(peer, PREDICTED_STEPS);
    out.unshift({
      ...common,
      rung: 'predicted',
      startMs,
      target: { kind: 'ports', address, ports },
      wavesMs: [0, 300, 700, 1_500, 3_000, 6_000],
      everyMs: 5_000,
      gapMs: SWEEP_GAP_MS,
      packets: 12 * ports.length,
    });
  }
  return out;
}

/** Opens to each of the ports that the peer's one socket may get toward us; its probes then come from one of them. */
function awaitPeer({ peer, hops, measured }: PlanInput): Attempt[] {
  const { address } = peer.endpoint;
  return [
    {
      rung: 'birthday',
      startMs: 0,
      socket: BIRTHDAY_FIRST,
      sockets: AWAITING_SOCKETS,
      target: { kind: 'ports', address, ports: portsAhead(peer, AWAITED_STEPS) },
      ttl: measured ? hops : Math.min(hops, SECOND_HOPS),
      wavesMs: AWAITING_WAVES_MS,
      gapMs: SPREAD_GAP_MS,
      packets: WIDE_MAX_DATAGRAMS,
      wide: true,
    },
  ];
}

/** Ports of the peer's counting NAT so many steps ahead of the newest one that is known. */
function portsAhead(peer: PlanInput['peer'], steps: readonly number[]): number[] {
  const step = peer.report.portStep ?? 0;
  return steps.map((count) => portAfter(lastPort(peer), count * step));
}

/** The newest port of a counting NAT that the peer's message names: the furthest in the direction of the steps. */
function lastPort({ endpoint, candidates, report }: PlanInput['peer']): number {
  const step = report.portStep ?? 0;
  const ports = candidates.flatMap(({ type, endpoint: { address, port } }) =>
    type === 'srflx' && address === endpoint.address ? [port] : [],
  );
  const near = ports.filter((port) => Math.abs(port - endpoint.port) <= NEAR_STEPS * Math.abs(step));
  return step < 0 ? Math.min(endpoint.port, ...near) : Math.max(endpoint.port, ...near);
}
