import { AwlError, isAwlError } from '../errors.js';
import type { Logger } from '../log.js';
import {
  type Contract,
  negotiate,
  type PayloadRole,
  sideOf,
  type Transport,
  whyNoContract,
} from '../punch/contract.js';
import type { Opened } from '../rendezvous/sealing.js';
import type { Endpoint } from '../util/endpoint.js';
import { type NatReport, UNMEASURED } from '../wire/nat-report.js';
import { NO_NAT, plexusNatOf, reportOf } from '../wire/plexus-nat.js';
import type { Reference } from '../wire/reference.js';
import { type Qos, type Terms, USUAL_QOS } from '../wire/reference-terms.js';
import type { Role } from './passage.js';
import type { SessionSettings } from './settings.js';
import { openTcpMapping, type TcpMapping } from './tcp-mapping.js';

/** Is this what a 3.0 text means, so that nothing else needs to be said? */
function isUsual({ proto, role }: Qos): boolean {
  return proto === USUAL_QOS.proto && role === USUAL_QOS.role;
}

/**
 * A TCP port for a program that is to speak TCP, or may; undefined where it is to speak UDP.
 * @throws AwlError STUN_UNREACHABLE, if it can be nothing but TCP
 */
export async function tcpMapping(
  settings: SessionSettings,
  nat: NatReport,
  o: { readonly log: Logger; readonly signal?: AbortSignal },
): Promise<TcpMapping | undefined> {
  const { qos = USUAL_QOS, tcp, stun, bind } = settings;
  if (qos.proto === 'udp') return undefined;
  const wanted = { stun: tcp?.stun ?? stun, bind: tcp?.bind ?? { address: bind.address, port: 0 } };
  try {
    return await openTcpMapping(wanted, nat, o);
  } catch (error) {
    if (qos.proto !== 'any' || !isAwlError(error, 'STUN_UNREACHABLE')) throw error;
    o.log.warning(`going on without TCP: ${error.message}`);
    return undefined;
  }
}

/** What the peer says of its NAT, be it awl or a newer plexus. */
export function natOfPeer({ reference, extension }: Pick<Opened, 'reference' | 'extension'>): NatReport {
  const told = reference.terms?.udp.endpoint && reportOf(reference.terms.udp.nat);
  return extension?.nat ?? told ?? UNMEASURED;
}

/** What our reference says beyond 3.0; undefined where 3.0 says it all, as plexus decides it (spec c.1). */
export function ownTerms(
  { qos = USUAL_QOS }: SessionSettings,
  parts: { readonly outer: Endpoint; readonly nat: NatReport; readonly tcp?: TcpMapping; readonly now: Date },
): Terms | undefined {
  if (isUsual(qos)) return undefined;
  const { outer, nat, tcp, now } = parts;
  return {
    time: now.getTime() * 1000,
    udp: { endpoint: outer, nat: plexusNatOf(nat), route: 'direct' },
    tcp: tcp ? tcp.hole : { nat: NO_NAT, route: 'direct' },
    qos,
  };
}

/** What was agreed, from our side. */
export interface Deal {
  readonly transport: Transport;
  readonly role: PayloadRole;
}

/**
 * What both references come to; undefined where both are 3.0 and there is nothing to agree on.
 * @throws AwlError TERMS_UNMET saying what does not fit
 */
export function dealOf(role: Role, own: Reference, peer: Reference): Deal | undefined {
  if (!own.terms && !peer.terms) return undefined;
  const [ours, theirs] = [sideOf(own), sideOf(peer)];
  const contract: Contract | undefined =
    role === 'accept' ? negotiate(ours, theirs) : negotiate(theirs, ours);
  if (contract) return { transport: contract.transport, role: contract[role] };
  throw new AwlError('TERMS_UNMET', `both sides do not meet: ${whyNoContract(ours, theirs)}`, {
    hint: 'compare --app-qos on both sides; udp:either goes with every NAT that can be punched, and plexus needs --udp-route and --tcp-route=direct',
  });
}
