import { classOf } from '../stun/sanity.js';
import { type Endpoint, sameEndpoint } from '../util/endpoint.js';
import type { Candidate } from '../wire/extension.js';

/** What a peer may be told besides the public endpoint that the reference holds (`--candidates`). */
export const CANDIDATE_KINDS = ['host', 'srflx', 'mapped'] as const;
export type CandidateKind = (typeof CANDIDATE_KINDS)[number];

/** The reader takes 16; the rest is for predicted ones. With ten an RSA-2048 letter takes three of HyperDHT's fragments, as with one. */
const CANDIDATES_MAX = 10;
/** Public endpoints of one socket: a few in a row show a symmetric NAT's next one. */
const SRFLX_MAX = 4;

/** Own endpoints by what is known of them; each list best first, but `srflx` in the order in which the NAT made them. */
export interface Gathered {
  readonly host: readonly Endpoint[];
  readonly srflx: readonly Endpoint[];
  readonly mapped: readonly Endpoint[];
}

/**
 * The candidates of a letter: `outer` first, as it stands in the reference, then host, mapped and further reflexive
 * endpoints, each endpoint once and under the first of these types.
 */
export function candidateList(
  outer: Endpoint,
  { host, srflx, mapped }: Gathered,
  kinds: readonly CandidateKind[] = CANDIDATE_KINDS,
): Candidate[] {
  const list: Candidate[] = [{ type: 'srflx', endpoint: outer }];
  const add = (type: CandidateKind, endpoints: readonly Endpoint[]) => {
    for (const endpoint of kinds.includes(type) ? endpoints : []) {
      if (endpoint.port > 0 && !list.some((one) => sameEndpoint(one.endpoint, endpoint)))
        list.push({ type, endpoint });
    }
  };
  add('host', host);
  add('mapped', mapped);
  add('srflx', srflx.slice(-SRFLX_MAX));
  return list.slice(0, CANDIDATES_MAX);
}

/** Without the addresses that mean something in the own network only. */
export function publicOnly(candidates: readonly Candidate[]): Candidate[] {
  return candidates.filter(({ type, endpoint }) => type !== 'host' || classOf(endpoint.address) === 'public');
}
