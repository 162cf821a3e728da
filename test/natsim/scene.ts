import { isAllowedTarget } from '../../src/punch/address-filter.js';
import { isMoving } from '../../src/punch/feasibility.js';
import { PunchMachine } from '../../src/punch/machine.js';
import type { Place } from '../../src/punch/path.js';
import { planPunch } from '../../src/punch/plan.js';
import type { Told } from '../../src/punch/plexus.js';
import type { Endpoint } from '../../src/util/endpoint.js';
import type { PunchRole } from '../../src/wire/confirm.js';
import type { NatReport } from '../../src/wire/nat-report.js';
import { UNMEASURED } from '../../src/wire/nat-report.js';
import { ALLOCATIONS, BEHAVIOURS, Nat, type NatType } from './nat.js';
import type { Random } from './random.js';
import { Host, type Link, World } from './world.js';

export const STUN_SERVER: Endpoint = { address: '192.0.2.10', port: 3478 };
export const TIMEOUT_MS = 30_000;
/** The usual home router, and a link on which nothing happens. */
export const CONE = {
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  ports: 'preserve',
} as const;
export const QUIET = { loss: 0, duplicate: 0, delay: 20, jitter: 0, hops: 8 };

/** `none`, one box or two (home, then carrier). */
export type Boxes = readonly NatType[];

export interface Scene {
  readonly world: World;
  readonly hosts: Readonly<Record<PunchRole, Host>>;
  /** What STUN told each side, that is what its message announces. */
  readonly announced: Readonly<Record<PunchRole, Endpoint>>;
  /** Endpoints of its next two sockets. */
  readonly fresh: Readonly<Record<PunchRole, readonly Endpoint[]>>;
  readonly secret: bigint;
}

export function randomNat(random: Random): NatType {
  return {
    mapping: random.pick(BEHAVIOURS),
    filtering: random.pick(BEHAVIOURS),
    ports: random.pick(ALLOCATIONS),
  };
}

/** An accept-type box: what it gets unasked leaves its mark. */
export function hostileNat(): NatType {
  return {
    mapping: 'endpoint-independent',
    filtering: 'address-and-port-dependent',
    ports: 'preserve',
    hostile: true,
  };
}

/**
 * A home box behind a carrier's. Only such pairs whose joint behaviour has one name: then the judgement of
 * feasibility can be held against what really happens.
 */
export function chained(random: Random): Boxes {
  const home = { ...randomNat(random), mapping: 'endpoint-independent' as const };
  const carrier = randomNat(random);
  if (carrier.mapping === 'endpoint-independent') return [home, carrier];
  return [{ ...home, filtering: 'endpoint-independent' }, carrier];
}

export function randomLink(random: Random, maxLoss: number): Link {
  return {
    loss: random.chance(0.3) ? 0 : random.next() * maxLoss,
    duplicate: random.next() * 0.05,
    delay: 2 + random.next() * 150,
    jitter: random.next() * 60,
    hops: 5 + random.below(10),
  };
}

/** Builds both sides; each asks STUN first, so that its announced endpoint is the mapping toward the server. */
export function scene(boxes: Readonly<Record<PunchRole, Boxes>>, link: Link, random: Random): Scene {
  const host = (role: PunchRole, publicAddress: string, inside: Endpoint): Host => {
    const nats = boxes[role].map((type, index) => {
      const outermost = index === boxes[role].length - 1;
      return new Nat(type, outermost ? publicAddress : '100.64.10.2', random);
    });
    return new Host(nats.length === 0 ? { ...inside, address: publicAddress } : inside, nats, publicAddress);
  };
  const hosts = {
    invite: host('invite', '198.51.100.10', { address: '192.168.10.2', port: 20_000 + random.below(9000) }),
    accept: host('accept', '203.0.113.10', { address: '192.168.20.2', port: 30_000 + random.below(9000) }),
  };
  const world = new World([hosts.invite, hosts.accept], link, random);
  const seen = (role: PunchRole, socket: number) => hosts[role].outbound(STUN_SERVER, 0, socket);
  return {
    world,
    hosts,
    fresh: { invite: [seen('invite', 1), seen('invite', 2)], accept: [seen('accept', 1), seen('accept', 2)] },
    announced: { invite: seen('invite', 0), accept: seen('accept', 0) },
    secret: random.bigint64(),
  };
}

/** What a probe that measures everything would report of these boxes. */
export function reportOf(boxes: Boxes): NatReport {
  const order = (pick: (type: NatType) => NatType['mapping']) =>
    BEHAVIOURS[Math.max(0, ...boxes.map((type) => BEHAVIOURS.indexOf(pick(type))))] ?? 'endpoint-independent';
  return {
    nat: boxes.length === 0 ? 'no' : 'yes',
    mapping: order((type) => type.mapping),
    filtering: order((type) => type.filtering),
    hairpin: 'not-measured',
    portPreservation: 'not-measured',
    ...(boxes.length === 1 && counts(boxes[0]) && { portStep: 1 }),
  };
}

function counts(box: NatType | undefined): boolean {
  return box !== undefined && box.mapping !== 'endpoint-independent' && box.ports === 'sequential';
}

export function machine(
  s: Scene,
  role: PunchRole,
  now: number,
  random: Random,
  o: {
    confirmKey?: Uint8Array;
    reports?: { own: NatReport; peer: NatReport };
    allow?: (e: Endpoint) => boolean;
    /** Both sides know the choice and name fresh sockets. */
    ladder?: boolean;
    /** Both ask for the birthday rung. */
    birthday?: boolean;
    /** The peer is a plexus; what our message named to it. */
    plexus?: Told;
  },
): PunchMachine {
  const other = role === 'invite' ? 'accept' : 'invite';
  const ladder = o.ladder === true;
  const { own = UNMEASURED, peer = UNMEASURED } = o.reports ?? {};
  return new PunchMachine(
    {
      role,
      secret: s.secret,
      peer: s.announced[other],
      plan: planPunch({
        role,
        own: { report: own, fresh: ladder ? 2 : 0, family: 4, ...(o.plexus && { told: o.plexus }) },
        peer: {
          endpoint: s.announced[other],
          fresh: ladder ? s.fresh[other] : [],
          candidates: [],
          report: peer,
          chooses: ladder,
          birthday: o.birthday === true,
          ...(o.plexus && { plexus: true }),
        },
        hops: 4,
        measured: false,
      }),
      moving: (o.plexus ?? 'reflexive') === 'reflexive' && o.reports !== undefined && isMoving(o.reports.own),
      timeoutMs: TIMEOUT_MS,
      ...(o.confirmKey ? { confirmKey: o.confirmKey } : {}),
      chooses: ladder,
      tellsSeen: ladder,
      admitWide: () => true,
      allow: o.allow ?? ((endpoint) => isAllowedTarget(endpoint)),
      random: (bytes) => random.bytes(bytes),
    },
    now,
  );
}

/** Does a datagram sent now from `from` to `to` reach the other host? Asked without loss. */
export function reaches(
  s: Scene,
  from: PunchRole,
  { socket, endpoint }: Place,
  arrivesAt: number | undefined = undefined,
): boolean {
  const mark = Buffer.from(`mark from ${from}`);
  const other = s.hosts[from === 'invite' ? 'accept' : 'invite'];
  other.actor = undefined;
  const before = other.inbox.length;
  s.world.send(s.hosts[from], mark, endpoint, 64, true, socket);
  s.world.run(s.world.now + 10_000);
  return other.inbox
    .slice(before)
    .some((one) => (arrivesAt ?? one.socket) === one.socket && Buffer.from(one.data).equals(mark));
}
