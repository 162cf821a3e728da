import type { Filtering, NatReport } from '../wire/nat-report.js';

/**
 * What plain punching (each side sends to the announced endpoint and answers where it hears the peer) can do:
 * `direct` opens at once, `effort` needs a remapped port to be followed, `impossible` cannot work without port
 * prediction or a relay, `unknown` means that something was not measured.
 */
export type Feasibility = 'direct' | 'effort' | 'impossible' | 'unknown';

type Answer = 'yes' | 'no' | 'unknown';

function stableMapping(report: NatReport): Answer {
  if (report.nat === 'no' || report.mapping === 'endpoint-independent') return 'yes';
  return report.mapping === 'not-measured' ? 'unknown' : 'no';
}

/** Is this NAT known to choose a new port for other destinations? */
export function isMoving(report: NatReport): boolean {
  return stableMapping(report) === 'no';
}

/** The same, or was it not measured? */
export function mayMove(report: NatReport): boolean {
  return stableMapping(report) !== 'yes';
}

/**
 * Can the one port be foretold that this NAT will give a socket toward a new address, whatever the ports there? Then a
 * peer whose ports cannot be is searched for as by a side that does not move.
 */
export function isForetold({ mapping, portStep }: NatReport): boolean {
  return mapping === 'address-dependent' && portStep !== undefined;
}

function among(filtering: Filtering, ...accepted: Filtering[]): Answer {
  if (filtering === 'not-measured') return 'unknown';
  return accepted.includes(filtering) ? 'yes' : 'no';
}

/** Does the NAT let in a datagram from the contacted address but another port? */
function admitsOtherPorts(report: NatReport): Answer {
  return among(report.filtering, 'endpoint-independent', 'address-dependent');
}

function both(a: Answer, b: Answer): Answer {
  if (a === 'no' || b === 'no') return 'no';
  return a === 'yes' && b === 'yes' ? 'yes' : 'unknown';
}

function either(a: Answer, b: Answer): Answer {
  if (a === 'yes' || b === 'yes') return 'yes';
  return a === 'no' && b === 'no' ? 'no' : 'unknown';
}

function effort(answer: Answer): Feasibility {
  if (answer === 'unknown') return 'unknown';
  return answer === 'yes' ? 'effort' : 'impossible';
}

/** Where both mappings change, one side must let in strangers at its announced port, the other other ports. */
function meetsHalfway(open: NatReport, other: NatReport): Answer {
  return both(among(open.filtering, 'endpoint-independent'), admitsOtherPorts(other));
}

/**
 * Where both NATs choose a new port for each address *and port*, every answer comes from a place that nobody has
 * contacted yet, and answering there makes the next such place: no pair of ports ever fits. One side that keeps its
 * port toward the other's address ends the chase.
 */
function holdsStill(a: NatReport, b: NatReport): Answer {
  const still = (report: NatReport) => (report.mapping === 'address-dependent' ? 'yes' : 'no');
  return either(still(a), still(b));
}

/** Judges a pair of NATs; symmetric in its arguments. Never a reason to skip an attempt, only to end one early. */
export function feasibility(a: NatReport, b: NatReport): Feasibility {
  const [stableA, stableB] = [stableMapping(a), stableMapping(b)];
  if (stableA === 'unknown' || stableB === 'unknown') return 'unknown';
  if (stableA === 'yes' && stableB === 'yes') return 'direct';
  if (stableA === 'yes') return effort(admitsOtherPorts(a));
  if (stableB === 'yes') return effort(admitsOtherPorts(b));
  return effort(both(holdsStill(a, b), either(meetsHalfway(a, b), meetsHalfway(b, a))));
}

const FILTER_WORDS: Readonly<Record<Filtering, string>> = {
  'endpoint-independent': 'lets in any sender',
  'address-dependent': 'lets in contacted addresses',
  'address-and-port-dependent': 'lets in contacted address-and-port pairs only',
  'not-measured': 'filtering not measured',
};

function movingPort({ mapping, portStep }: NatReport): string {
  const where = mapping === 'address-dependent' ? 'address' : 'destination';
  return `port for each ${where}${portStep === undefined ? '' : ', which it counts'}`;
}

/** One NAT in words for people: "symmetric NAT (a new port for each destination, ...)". */
export function describeNat(report: NatReport): string {
  if (report.nat === 'no') return 'no NAT';
  const filter = FILTER_WORDS[report.filtering];
  if (report.mapping === 'not-measured') return `NAT of unknown mapping (${filter})`;
  return stableMapping(report) === 'yes'
    ? `cone NAT (one port for all destinations, ${filter})`
    : `symmetric NAT (a new ${movingPort(report)}, ${filter})`;
}
