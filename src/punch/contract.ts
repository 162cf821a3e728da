import { type Endpoint, familyOf } from '../util/endpoint.js';
import { ASSUMED_NAT, NO_NAT, type PlexusNat } from '../wire/plexus-nat.js';
import type { Reference } from '../wire/reference.js';
import { formatQos, type Hole, type Qos, USUAL_QOS } from '../wire/reference-terms.js';

/** What the payload speaks over the passage; `ssl` is TCP on which the programs do TLS. */
export type Transport = 'udp' | 'tcp' | 'ssl';
/** What the payload of a side does: wait, connect, or both at once. */
export type PayloadRole = 'server' | 'client' | 'mutual';

/** What two references come to. */
export interface Contract {
  readonly transport: Transport;
  readonly accept: PayloadRole;
  readonly invite: PayloadRole;
}

/** One side as the other reads it. */
export interface Side {
  readonly udp: Hole;
  readonly tcp: Hole;
  readonly qos: Qos;
}

/** A reference as plexus 3.4 understands it: a 3.0 text says `udp:either` and nothing of its NAT (spec c.1). */
export function sideOf({ endpoint, terms }: Reference): Side {
  return (
    terms ?? {
      udp: { endpoint, nat: ASSUMED_NAT, route: 'direct' },
      tcp: { nat: NO_NAT, route: 'direct' },
      qos: USUAL_QOS,
    }
  );
}

/** The order in which plexus 3.4 looks for a pair that both sides can be (spec g.1), acceptor's role first. */
const ORDER: readonly (readonly [Transport, PayloadRole, PayloadRole])[] = [
  ['ssl', 'server', 'client'],
  ['ssl', 'client', 'server'],
  ['tcp', 'server', 'client'],
  ['tcp', 'client', 'server'],
  ['udp', 'server', 'client'],
  ['udp', 'client', 'server'],
  ['udp', 'mutual', 'mutual'],
  ['tcp', 'mutual', 'mutual'],
  ['ssl', 'mutual', 'mutual'],
];

/**
 * What both sides agree on (plexus' `make_contract`, spec g.1, without relays, which awl has none of plexus' kind);
 * undefined where nothing fits. Both sides compute the same from the two references.
 */
export function negotiate(accept: Side, invite: Side): Contract | undefined {
  const found = ORDER.find(
    ([transport, acceptRole, inviteRole]) =>
      isUsable(holeOf(accept, transport), holeOf(invite, transport)) &&
      canBe(accept, invite, transport, acceptRole) &&
      canBe(invite, accept, transport, inviteRole),
  );
  return found && { transport: found[0], accept: found[1], invite: found[2] };
}

/** The hole that a transport goes through. */
export function holeOf(side: Pick<Side, 'udp' | 'tcp'>, transport: Transport): Hole {
  return transport === 'udp' ? side.udp : side.tcp;
}

function isStable({ mapping, variableAddress }: PlexusNat): boolean {
  return mapping === 'independent' && !variableAddress;
}

function isUsable(a: Hole, b: Hole): boolean {
  if (a.route === 'bridge' || b.route === 'bridge') return false;
  if (!a.endpoint || !b.endpoint || familyOf(a.endpoint) !== familyOf(b.endpoint)) return false;
  if (a.nat.variableAddress && b.nat.variableAddress) return false;
  if (a.nat.mapping !== 'independent' && b.nat.mapping !== 'independent') return false;
  return a.endpoint.address !== b.endpoint.address || (a.nat.hairpin && b.nat.hairpin);
}

function canBe(own: Side, peer: Side, transport: Transport, role: PayloadRole): boolean {
  const { qos } = own;
  if (qos.proto !== 'any' && qos.proto !== transport) return false;
  if (qos.role !== 'either' && qos.role !== role) return false;
  const ours = holeOf(own, transport).nat;
  const theirs = holeOf(peer, transport).nat;
  if (role === 'client') return isStable(ours) || (isStable(theirs) && theirs.filtering === 'independent');
  if (!isStable(ours)) return false;
  const awaitsStrangers = role === 'server' && transport !== 'udp' && qos.role === 'either';
  return !awaitsStrangers || !ours.nat || ours.filtering === 'independent';
}

/** Why {@link negotiate} found nothing, for people. */
export function whyNoContract(own: Side, peer: Side): string {
  const [ours, theirs] = [formatQos(own.qos), formatQos(peer.qos)];
  const wants = `this side offers ${ours}, the peer ${theirs}`;
  if (!shareProto(own.qos, peer.qos)) return `${wants}: there is no protocol in common`;
  if (!fits(own.qos.role, peer.qos.role)) return `${wants}: the roles do not fit`;
  const transports = (['udp', 'tcp'] as const).filter((one) => speaks(own.qos, one) && speaks(peer.qos, one));
  if (transports.every((one) => own[one].route === 'bridge' || peer[one].route === 'bridge')) {
    return `${wants}, and one side insists on a relay of plexus' kind`;
  }
  for (const one of transports) {
    if (!own[one].endpoint) return `${wants}, and STUN gave us no ${one.toUpperCase()} endpoint`;
    if (!peer[one].endpoint) return `${wants}, and the peer has no ${one.toUpperCase()} endpoint`;
  }
  return `${wants}, and the NATs of both sides do not let these roles through`;
}

function speaks({ proto }: Qos, transport: 'udp' | 'tcp'): boolean {
  return proto === 'any' || (proto === 'udp') === (transport === 'udp');
}

function shareProto(a: Qos, b: Qos): boolean {
  return a.proto === 'any' || b.proto === 'any' || a.proto === b.proto;
}

function fits(a: Qos['role'], b: Qos['role']): boolean {
  if (a === 'either' || b === 'either') return true;
  return a === 'mutual' ? b === 'mutual' : b !== 'mutual' && a !== b;
}

/** The peer's endpoint as the payload is told it: nought where the NAT will show another one (spec g.1). */
export function alienOf({ endpoint, nat }: Hole): Endpoint | undefined {
  if (!endpoint) return undefined;
  const unspecified = familyOf(endpoint) === 6 ? '::' : '0.0.0.0';
  return {
    address: nat.variableAddress ? unspecified : endpoint.address,
    port: nat.mapping === 'independent' ? endpoint.port : 0,
  };
}

/** Can both sides meet by UDP datagrams, whatever the payload speaks (spec g.2)? */
export function canSyncByUdp(a: Side, b: Side): boolean {
  const usable = ({ udp }: Side) => udp.endpoint !== undefined && isStable(udp.nat);
  if (!usable(a) || !usable(b)) return false;
  return a.udp.endpoint?.address !== b.udp.endpoint?.address || (a.udp.nat.hairpin && b.udp.nat.hairpin);
}

/** plexus PLEXUS_SYNC_TIMEOUT and PLEXUS_CONNECT_DELAY, spec a.5. */
const SYNC_AFTER_US = 20_000_000;
const CLIENT_DELAY_US = 1_000_000;

/**
 * When the payload starts where UDP cannot say it: 20 s after the later of both messages, clients a second later
 * (spec g.2). Microseconds since 1970; it depends on both clocks.
 */
export function syncTime(times: readonly [number, number], now: number, role: PayloadRole): number {
  const delay = SYNC_AFTER_US + (role === 'client' ? CLIENT_DELAY_US : 0);
  return Math.min(Math.max(...times), now) + delay;
}
