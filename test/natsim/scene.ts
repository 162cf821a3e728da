import { isAllowedTarget } from '../../src/punch/address-filter.js';
import { feasibility, isMoving } from '../../src/punch/feasibility.js';
import { PunchMachine } from '../../src/punch/machine.js';
import type { Endpoint } from '../../src/util/endpoint.js';
import type { PunchRole } from '../../src/wire/confirm.js';
import type { NatReport } from '../../src/wire/nat-report.js';
import { ALLOCATIONS, BEHAVIOURS, Nat, type NatType } from './nat.js';
import type { Random } from './random.js';
import { Host, type Link, World } from './world.js';

export const STUN_SERVER: Endpoint = { address: '192.0.2.10', port: 3478 };
export const TIMEOUT_MS = 60_000;

/** `none`, one box or two (home, then carrier). */
export type Boxes = readonly NatType[];

export interface Scene {
  readonly world: World;
  readonly hosts: Readonly<Record<PunchRole, Host>>;
  /** What STUN told each side, that is what its message announces. */
  readonly announced: Readonly<Record<PunchRole, Endpoint>>;
  readonly secret: bigint;
}

export function randomNat(random: Random): NatType {
  return {
    mapping: random.pick(BEHAVIOURS),
    filtering: random.pick(BEHAVIOURS),
    ports: random.pick(ALLOCATIONS),
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
  return {
    world,
    hosts,
    announced: {
      invite: hosts.invite.outbound(STUN_SERVER, 0),
      accept: hosts.accept.outbound(STUN_SERVER, 0),
    },
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
  };
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
  },
): PunchMachine {
  return new PunchMachine(
    {
      role,
      secret: s.secret,
      peer: s.announced[role === 'invite' ? 'accept' : 'invite'],
      hops: 4,
      moving: o.reports !== undefined && isMoving(o.reports.own),
      timeoutMs: TIMEOUT_MS,
      hopeless: o.reports !== undefined && feasibility(o.reports.own, o.reports.peer) === 'impossible',
      ...(o.confirmKey ? { confirmKey: o.confirmKey } : {}),
      allow: o.allow ?? ((endpoint) => isAllowedTarget(endpoint)),
      random: (bytes) => random.bytes(bytes),
    },
    now,
  );
}

/** Does a datagram sent now from `from` to `to` reach the other host? Asked without loss. */
export function reaches(s: Scene, from: PunchRole, to: Endpoint): boolean {
  const mark = Buffer.from(`mark from ${from}`);
  const other = s.hosts[from === 'invite' ? 'accept' : 'invite'];
  other.actor = undefined;
  const before = other.inbox.length;
  s.world.send(s.hosts[from], mark, to, 64, true);
  s.world.run(s.world.now + 10_000);
  return other.inbox.slice(before).some(({ data }) => Buffer.from(data).equals(mark));
}
