import { describeNat, type Feasibility, feasibility, isForetold, isMoving } from '../punch/feasibility.js';
import { feasibilityToPlexus, type Told } from '../punch/plexus.js';
import { type Endpoint, familyOf } from '../util/endpoint.js';
import type { Candidate } from '../wire/extension.js';
import type { NatReport } from '../wire/nat-report.js';

/** `direct with effort`: by predicted ports or a birthday search, or around a NAT that stray datagrams spoil. */
export type Outcome = 'direct' | 'direct with effort' | 'relay only' | 'unknown';

/** The rung of the ladder that would win; `ipv6` is that of the host candidates, which IPv6 addresses are. */
export type WinningRung = 'host' | 'ipv6' | 'mapped' | 'reflexive' | 'predicted' | 'birthday';

export interface Prediction {
  readonly outcome: Outcome;
  readonly rung?: WinningRung;
  /** Why, as a sentence without its full stop. */
  readonly why: string;
}

/** What one side knows of itself before it meets anybody. */
export interface SideReport {
  readonly nat: NatReport;
  /** Own public endpoint. */
  readonly outer?: Endpoint;
  /** Where a router forwarded a port to us. */
  readonly mapped?: Endpoint;
  /** A global address of this machine. */
  readonly ipv6?: string;
}

const RUNG_WORDS: Readonly<Record<WinningRung, string>> = {
  host: 'addresses of the own network',
  ipv6: 'IPv6 addresses',
  mapped: 'the mapped port',
  reflexive: 'the public endpoints',
  predicted: 'predicted ports',
  birthday: 'a birthday search',
};

/** "direct with effort, by predicted ports: ...", as `awl doctor` says it and the log after a failed session. */
export function predictionWords({ outcome, rung, why }: Prediction): string {
  return `${outcome}${rung === undefined ? '' : `, by ${RUNG_WORDS[rung]}`}: ${why}`;
}

/** What a side's signed message told of it. */
export function sideOf(nat: NatReport, outer: Endpoint, candidates: readonly Candidate[]): SideReport {
  const mapped = candidates.find(({ type }) => type === 'mapped')?.endpoint;
  const six = candidates.find(({ type, endpoint }) => type !== 'mapped' && familyOf(endpoint) === 6);
  return { nat, outer, ...(mapped && { mapped }), ...(six && { ipv6: six.endpoint.address }) };
}

/** Both sides' NATs and what was to be expected of them, for the log after a failure. */
export function postMortem(own: SideReport, peer: SideReport): string {
  const [ours, theirs] = [own, peer].map(({ nat }) => describeNat(nat));
  return `this side: ${ours}; the peer: ${theirs}; expected: ${predictionWords(predict(own, peer))}`;
}

/** The same where the peer is a plexus: of it nothing is known, and nothing but our own NAT and what we named counts. */
export function plexusPostMortem(own: NatReport, told: Told): string {
  return `this side: ${describeNat(own)}; the peer: a plexus; expected: ${PLEXUS_WORDS[feasibilityToPlexus(own, told)]}`;
}

const PLEXUS_WORDS: Readonly<Record<Feasibility, string>> = {
  direct: 'direct, by the public endpoints, for a plexus writes only where its own NAT keeps its port',
  effort: 'direct with effort, by the port that our letter named, unless somebody else got it',
  impossible:
    'nothing: a plexus sends to the one port that our letter named and hears nothing else, and our NAT gives each ' +
    'socket a random one toward it (1 in 64 512)',
  unknown: 'unknown: too little of our NAT could be measured',
};

const CONE: NatReport = {
  nat: 'yes',
  mapping: 'endpoint-independent',
  filtering: 'address-and-port-dependent',
  hairpin: 'not-measured',
  portPreservation: 'not-measured',
};
const MOVING: NatReport = { ...CONE, mapping: 'address-and-port-dependent' };

/** The NATs of the network lab (docs/NETLAB.md): what a peer may sit behind, and what its report would say. */
export const PEER_KINDS = {
  none: { words: 'no NAT', nat: { ...CONE, nat: 'no', filtering: 'endpoint-independent' } },
  'full-cone': { words: 'a full-cone NAT', nat: { ...CONE, filtering: 'endpoint-independent' } },
  restricted: { words: 'an address-restricted NAT', nat: { ...CONE, filtering: 'address-dependent' } },
  'port-restricted': { words: 'a port-restricted NAT (most homes)', nat: CONE },
  cgnat: { words: 'a home NAT behind a carrier-grade one', nat: CONE },
  hostile: { words: 'a NAT that stray datagrams spoil', nat: CONE },
  'symmetric-sequential': {
    words: 'a symmetric NAT that counts its ports up',
    nat: { ...MOVING, portStep: 1 },
  },
  symmetric: { words: 'a symmetric NAT with random ports', nat: MOVING },
} as const satisfies Readonly<Record<string, { readonly words: string; readonly nat: NatReport }>>;
export type PeerKind = keyof typeof PEER_KINDS;

/** The table of `awl doctor`: how each kind of peer would be reached that has neither IPv6 nor a mapped port. */
export function prospects(own: SideReport): Readonly<Record<PeerKind, Outcome>> {
  const kinds = Object.keys(PEER_KINDS) as PeerKind[];
  const rows = kinds.map((kind) => [kind, against(own, kind)] as const);
  return Object.fromEntries(rows) as Record<PeerKind, Outcome>;
}

function against(own: SideReport, kind: PeerKind): Outcome {
  const { outcome, rung } = predict(own, { nat: PEER_KINDS[kind].nat });
  // A report cannot tell such a NAT from an ordinary one; who lets in other ports does not mind.
  const spoilt =
    kind === 'hostile' && rung === 'reflexive' && own.nat.filtering === 'address-and-port-dependent';
  return spoilt ? 'direct with effort' : outcome;
}

/** Of a plexus, for which there is no relay. */
export type PlexusOutcome = Exclude<Outcome, 'relay only'> | 'not at all';

const PLEXUS_OUTCOMES: Readonly<Record<Feasibility, PlexusOutcome>> = {
  direct: 'direct',
  effort: 'direct with effort',
  impossible: 'not at all',
  unknown: 'unknown',
};

/** How a plexus would be reached, by who invites: it writes only where its own NAT keeps its port, so ours decides. */
export function towardPlexus({ nat, outer, mapped }: SideReport) {
  const counted: Told = isMoving(nat) && nat.portStep !== undefined ? 'predicted' : 'reflexive';
  const forwarded = isMoving(nat) && mapped !== undefined && mapped.address === outer?.address;
  const outcome = (told: Told) => PLEXUS_OUTCOMES[feasibilityToPlexus(nat, told)];
  return { invite: outcome(counted), accept: outcome(forwarded ? 'mapped' : counted) };
}

/** Which rung would win between these two, both with awl. */
export function predict(own: SideReport, peer: SideReport): Prediction {
  if (own.outer && own.outer.address === peer.outer?.address) {
    return {
      outcome: 'direct',
      rung: 'host',
      why: 'both are behind the same public address: through their own network',
    };
  }
  if (own.ipv6 !== undefined && peer.ipv6 !== undefined) {
    return { outcome: 'direct', rung: 'ipv6', why: 'both have IPv6, which no NAT is in the way of' };
  }
  if (own.mapped || peer.mapped) {
    const whose = own.mapped ? 'our' : "the peer's";
    return { outcome: 'direct', rung: 'mapped', why: `${whose} router forwards a port` };
  }
  return throughNats(own.nat, peer.nat);
}

/** What was not measured may be either way: where both ways lead through, the harder one is named. */
function throughNats(a: NatReport, b: NatReport): Prediction {
  const all = guesses(a).flatMap((one) => guesses(b).map((other) => throughKnown(one, other)));
  const [best] = all;
  const hopeless = all.filter(({ outcome }) => outcome === 'relay only');
  if (!best || (hopeless.length > 0 && hopeless.length < all.length)) {
    return { outcome: 'unknown', why: 'too little of the NATs could be measured' };
  }
  return all.find(({ outcome }) => outcome === 'direct with effort') ?? best;
}

function guesses(report: NatReport): NatReport[] {
  const mappings: readonly NatReport['mapping'][] =
    report.mapping === 'not-measured' && report.nat !== 'no'
      ? ['endpoint-independent', 'address-and-port-dependent']
      : [report.mapping];
  const filterings: readonly NatReport['filtering'][] =
    report.filtering === 'not-measured'
      ? ['endpoint-independent', 'address-and-port-dependent']
      : [report.filtering];
  return mappings.flatMap((mapping) => filterings.map((filtering) => ({ ...report, mapping, filtering })));
}

function throughKnown(a: NatReport, b: NatReport): Prediction {
  const plain = feasibility(a, b);
  if (plain === 'direct') {
    return {
      outcome: 'direct',
      rung: 'reflexive',
      why: 'the public endpoints that STUN sees are where both are',
    };
  }
  if (plain === 'effort') {
    const why = 'one NAT moves, but the other lets its datagrams in from wherever they come';
    return { outcome: 'direct', rung: 'reflexive', why };
  }
  if (isMoving(a) && isMoving(b)) {
    if (a.portStep === undefined || b.portStep === undefined) {
      if (isForetold(a) || isForetold(b)) {
        const why =
          'one NAT counts its ports and gives each address one, to which many sockets of the other side wait';
        return { outcome: 'direct with effort', rung: 'birthday', why };
      }
      const counts = a.portStep !== undefined || b.portStep !== undefined;
      const why = counts
        ? 'both NATs choose a new port for each destination, and only one counts: half a chance would take 45 000 datagrams'
        : 'both NATs choose a new port for each destination, and none can be foretold';
      return { outcome: 'relay only', why };
    }
    const why = 'both NATs count their ports, so that each can be met at the next one';
    return { outcome: 'direct with effort', rung: 'predicted', why };
  }
  const moving = isMoving(a) ? a : b;
  if (moving.portStep !== undefined) {
    const why = 'one NAT counts its ports, so that the next ones are known';
    return { outcome: 'direct with effort', rung: 'predicted', why };
  }
  const why = 'one NAT chooses random ports: many sockets on one side meet many probes of the other';
  return { outcome: 'direct with effort', rung: 'birthday', why };
}
