import type { NatReport } from '../wire/nat-report.js';
import { type Feasibility, isMoving, mayMove } from './feasibility.js';
import {
  BIRTHDAY_FIRST,
  PLEXUS_NEAR_MS,
  PLEXUS_NEAR_STEPS,
  PLEXUS_NEAR_WAVES_MS,
  PLEXUS_QUIET_WAVES_MS,
  PLEXUS_SOCKETS,
  PLEXUS_WAVES_MS,
  PORT_MAX,
  PORT_MIN,
  SECOND_HOPS,
  SPREAD_GAP_MS,
} from './limits.js';
import type { Attempt, PlanInput } from './plan.js';

/**
 * What our message to a plexus names as our one endpoint: where STUN saw the socket, the port that the own counting NAT is
 * about to give out, or one that the router forwards.
 */
export type Told = 'reflexive' | 'predicted' | 'mapped';

/**
 * Can a plexus be reached from behind this NAT? It sends to the endpoint that our message named, and takes datagrams from
 * nowhere else (spec f), so what we send must leave by that very port. A NAT that moves gives each of our sockets
 * another port toward the peer; that one of n of them is the named one, where they are random, has a chance of n in 64 512:
 * 1 in 1 000 with the 64 datagrams that a silent address may get, 3 % with 2 048, half with 44 700. A birthday search takes
 * many ports on both sides, and plexus has one. So only a port that is known before it is used will do.
 */
export function feasibilityToPlexus(own: NatReport, told: Told): Feasibility {
  if (told !== 'reflexive') return 'effort';
  if (isMoving(own)) return 'impossible';
  return mayMove(own) ? 'unknown' : 'direct';
}

/** What is sent instead of plexus' own round, where our message named another port than STUN's; else undefined. */
export function toldAttempts(input: PlanInput): Attempt[] | undefined {
  const { told = 'reflexive' } = input.own;
  if (told === 'predicted') return [toldPort(input)];
  // The router lets the peer's datagrams in, and our answers leave by the same port. What we sent first would leave by another.
  return told === 'mapped' ? [] : undefined;
}

/** One of these sockets gets the port that our message named, unless somebody else's traffic takes just that one. */
function toldPort({ role, peer, hops, measured }: PlanInput): Attempt {
  // A plexus that accepts has opened its NAT for us and waits; one that invites sends until it is answered.
  const quiet = role === 'accept';
  const wavesMs = quiet ? PLEXUS_QUIET_WAVES_MS : PLEXUS_WAVES_MS;
  return {
    rung: 'predicted',
    startMs: 0,
    socket: BIRTHDAY_FIRST,
    sockets: PLEXUS_SOCKETS,
    target: { kind: 'endpoint', endpoint: peer.endpoint },
    ...(quiet && { ttl: measured ? hops : Math.min(hops, SECOND_HOPS) }),
    wavesMs,
    gapMs: SPREAD_GAP_MS,
    packets: PLEXUS_SOCKETS * wavesMs.length,
    wide: false,
  };
}

/**
 * A plexus looks at its NAT before it writes, unless it was told not to (`--nat-test=simple`): then its port toward us may
 * be another one, and if its NAT counts, one of the next.
 */
export function nearAttempts({ own, peer }: PlanInput): Attempt[] {
  if (!peer.plexus || mayMove(own.report)) return [];
  const { address, port } = peer.endpoint;
  const ports = PLEXUS_NEAR_STEPS.map((step) => port + step).filter(
    (one) => one >= PORT_MIN && one <= PORT_MAX,
  );
  return [
    {
      rung: 'predicted',
      startMs: PLEXUS_NEAR_MS,
      socket: 0,
      sockets: 1,
      target: { kind: 'ports', address, ports },
      wavesMs: PLEXUS_NEAR_WAVES_MS,
      gapMs: SPREAD_GAP_MS,
      packets: ports.length * PLEXUS_NEAR_WAVES_MS.length,
      wide: false,
    },
  ];
}
