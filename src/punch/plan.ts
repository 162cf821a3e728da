import { MAPPING_REFRESH_MS, PLEXUS_SLOT_MS, SWAP_AFTER_MS, SWAP_EARLY_MS } from '../constants.js';
import { type Endpoint, familyOf, sameEndpoint } from '../util/endpoint.js';
import type { PunchRole } from '../wire/confirm.js';
import type { Candidate } from '../wire/extension.js';
import type { NatReport } from '../wire/nat-report.js';
import { feasibility, isMoving } from './feasibility.js';
import {
  CANDIDATE_PACKETS,
  CANDIDATES_MAX,
  SECOND_HOPS,
  SECOND_ROUND_MS,
  THIRD_HOPS,
  THIRD_ROUND_MS,
} from './limits.js';
import { feasibilityToPlexus, nearAttempts, type Told, toldAttempts } from './plexus.js';
import { tacticOf, wideAttempts } from './wide.js';

/** How a passage can be won; the order is that of preference. */
export const RUNGS = ['host', 'mapped', 'reflexive', 'predicted', 'birthday'] as const;
export type Rung = (typeof RUNGS)[number];

/** Place in that order, the best is 0; last are places that no rung leads to. */
export function rankOf(rung: Rung | undefined): number {
  return rung ? RUNGS.indexOf(rung) : RUNGS.length;
}

/** Where the datagrams of an attempt go: one place, some ports of an address in turn, or random ports of it. */
export type Target =
  | { readonly kind: 'endpoint'; readonly endpoint: Endpoint }
  | { readonly kind: 'ports'; readonly address: string; readonly ports: readonly number[] }
  | { readonly kind: 'sweep'; readonly address: string; readonly count: number };

/** One stream of openers. Its waves each send from every socket to every port of the target. */
export interface Attempt {
  readonly rung: Rung;
  /** After the punch began. */
  readonly startMs: number;
  /** Own sockets by number, from `socket` on: 0 is that of the reference, the next are those of its fresh endpoints. */
  readonly socket: number;
  readonly sockets: number;
  readonly target: Target;
  /** IP TTL, where the datagrams are only to open the own NAT. */
  readonly ttl?: number;
  /** Begin of each wave after the start; then one every `everyMs`. */
  readonly wavesMs: readonly number[];
  readonly everyMs?: number;
  /** Between the datagrams of a wave. */
  readonly gapMs: number;
  /** Datagrams of this attempt at most. */
  readonly packets: number;
  /** More than a silent address may get: only where the peer asked for it, and one at a time. */
  readonly wide: boolean;
}

/** The ladder for one pair of sides. */
export interface Plan {
  readonly attempts: readonly Attempt[];
  /** Both reports say that nothing of it can work: silence ends it early. */
  readonly hopeless: boolean;
}

export interface PlanInput {
  readonly role: PunchRole;
  readonly own: {
    readonly report: NatReport;
    /** Sockets beside the main one whose endpoints our message named. */
    readonly fresh: number;
    /** Number of the socket for IPv6 beside an IPv4 main one. */
    readonly v6?: number;
    readonly family: 4 | 6;
    /** What our message named, if not the endpoint that STUN saw. */
    readonly told?: Told;
  };
  readonly peer: {
    /** The endpoint of its reference. */
    readonly endpoint: Endpoint;
    readonly fresh: readonly Endpoint[];
    /** Its other candidates, those that may be sent to. */
    readonly candidates: readonly Candidate[];
    readonly report: NatReport;
    /** It speaks the choice of docs/PROTOCOL.md, so several paths may be tried at once. */
    readonly chooses: boolean;
    /** It asked for the birthday rung. */
    readonly birthday: boolean;
    /** It is a plexus: it knows one endpoint of us, and takes datagrams from nowhere else. */
    readonly plexus?: boolean;
  };
  /** IP TTL of quiet openers, and whether the distance of the own NAT was measured. */
  readonly hops: number;
  readonly measured: boolean;
}

const KNOCKS_MS = [0, 100, 300, 700, 1_500, 3_100] as const;
const QUIET_MS = [0, 150, 500] as const;
/** The acceptor's knocks: where its NAT moves, nothing but one of them leads to it. */
const SWAPPED_MS = [0, 200, 500, 1_000, 1_700, 2_600, 3_800] as const;
/** Thinner than PLEXUS_SLOT_MS: three rounds and the candidates share what a silent address may get. */
const SLOW_MS = 3 * PLEXUS_SLOT_MS;

type Stream = Pick<Attempt, 'rung' | 'target' | 'startMs' | 'wavesMs'> & Partial<Attempt>;

/** A stream of single datagrams from one socket. */
function stream(o: Stream): Attempt {
  return { socket: 0, sockets: 1, gapMs: 0, packets: 64, wide: false, ...o };
}

/**
 * The ladder: which sockets send what, when and how often, from what both sides measured and announced. Rungs overlap
 * in time where they use other pairs of ports. A report moves rungs forward or backward; it takes none away, but
 * that of two NATs which are both known to choose random ports nothing is asked that cannot be had.
 */
export function planPunch(input: PlanInput): Plan {
  const { own, peer } = input;
  const tactic = tacticOf(input);
  const legacy = !peer.chooses;
  const base = firstRound(input, legacy);
  if (legacy) {
    const attempts = toldAttempts(input) ?? [...base, ...nearAttempts(input)];
    return { attempts, hopeless: isHopeless(input, false) };
  }
  const moving = isMoving(own.report) || isMoving(peer.report);
  const attempts = [
    ...candidates(input),
    ...base,
    ...(moving ? [] : furtherRounds(input)),
    ...(peer.birthday ? wideAttempts(input, tactic) : []),
  ];
  return { attempts, hopeless: isHopeless(input, peer.birthday && tactic.kind !== 'none') };
}

function isHopeless({ own, peer }: PlanInput, wide: boolean): boolean {
  if (peer.plexus) return feasibilityToPlexus(own.report, own.told ?? 'reflexive') === 'impossible';
  return !wide && feasibility(own.report, peer.report) === 'impossible';
}

/**
 * plexus' round. The inviter knocks with datagrams that arrive; the acceptor first only opens its own NAT, because a
 * NAT that sees the peer's datagram too early may map it away (spec i.10), and knocks itself later: its mapping may be
 * another one toward this peer.
 */
function firstRound({ role, own, peer, hops, measured }: PlanInput, legacy: boolean): Attempt[] {
  const target = { kind: 'endpoint', endpoint: peer.endpoint } as const;
  const everyMs = legacy ? PLEXUS_SLOT_MS : SLOW_MS;
  const moving = isMoving(own.report);
  const knocks = (startMs: number, wavesMs: readonly number[]) =>
    stream({ rung: 'reflexive', target, startMs, wavesMs, everyMs });
  // The distance of a moving NAT cannot be measured, and probes may come to this mapping later.
  const ttl = moving && !measured && !legacy ? Math.min(hops, SECOND_HOPS) : hops;
  // From a port that the peer's NAT cannot know, a knock gets in nowhere, but it may spoil that NAT for the probes.
  const unwelcome = moving && !legacy && peer.report.filtering === 'address-and-port-dependent';
  if (role === 'invite' && !unwelcome) return [knocks(0, KNOCKS_MS)];
  const loudMs = moving && !unwelcome ? SWAP_EARLY_MS : SWAP_AFTER_MS;
  return [quiet(0, peer.endpoint, ttl), knocks(loudMs, SWAPPED_MS)];
}

function quiet(socket: number, endpoint: Endpoint, ttl: number): Attempt {
  return stream({
    rung: 'reflexive',
    target: { kind: 'endpoint', endpoint },
    startMs: 0,
    socket,
    ttl,
    wavesMs: QUIET_MS,
    everyMs: MAPPING_REFRESH_MS,
    packets: 12,
  });
}

/**
 * The same on mappings that nothing has touched, for NATs that a stray datagram spoils: once with a low TTL that expires
 * sooner, and once with the roles swapped. They need not wait for the first round: other ports, other mappings. The quiet
 * side stays quiet here, however late the other one comes.
 */
function furtherRounds({ role, own, peer, hops }: PlanInput): Attempt[] {
  const [second, third] = peer.fresh;
  const out: Attempt[] = [];
  const knocks = (socket: number, endpoint: Endpoint, startMs: number) =>
    stream({
      rung: 'reflexive',
      target: { kind: 'endpoint', endpoint },
      startMs,
      socket,
      wavesMs: [0, 200, 600, 1_400, 3_000],
      everyMs: SLOW_MS,
      packets: 14,
    });
  const lower = Math.min(SECOND_HOPS, hops <= SECOND_HOPS ? hops + 1 : SECOND_HOPS);
  if (second && own.fresh > 0) {
    out.push(role === 'accept' ? quiet(1, second, lower) : knocks(1, second, SECOND_ROUND_MS));
  }
  if (third && own.fresh > 1) {
    out.push(role === 'accept' ? knocks(2, third, THIRD_ROUND_MS) : quiet(2, third, THIRD_HOPS));
  }
  return out;
}

/** The peer's other addresses: both sides knock, for a host firewall or a router's IPv6 filter opens from inside only. */
function candidates({ role, own, peer }: PlanInput): Attempt[] {
  const known = [peer.endpoint, ...peer.fresh];
  const out: Attempt[] = [];
  for (const { type, endpoint } of peer.candidates) {
    const socket = familyOf(endpoint) === own.family ? 0 : familyOf(endpoint) === 6 ? own.v6 : undefined;
    if (socket === undefined || known.some((one) => sameEndpoint(one, endpoint))) continue;
    if (type === 'relay' || type === 'predicted') continue;
    // Another mapping of the same socket, toward another server: it tells which port may come next, and leads nowhere.
    if (type === 'srflx' && endpoint.address === peer.endpoint.address) continue;
    known.push(endpoint);
    out.push(
      stream({
        rung: type === 'srflx' ? 'reflexive' : type,
        target: { kind: 'endpoint', endpoint },
        startMs: 0,
        socket,
        wavesMs: role === 'invite' ? [0, 100, 300, 700, 1_500, 3_100] : [0, 150, 500, 1_500, 3_000],
        everyMs: MAPPING_REFRESH_MS,
        packets: CANDIDATE_PACKETS,
      }),
    );
    if (out.length === CANDIDATES_MAX) break;
  }
  return out;
}
