import { type Endpoint, sameEndpoint } from '../util/endpoint.js';
import type { Filtering, Mapping, Measured, NatReport } from '../wire/nat-report.js';

/** Where one destination saw our socket. */
export interface MappingSample {
  readonly destination: Endpoint;
  readonly mapped: Endpoint;
  /** Place in the order of asking, where the answers of others may still be missing; default: that of the list. */
  readonly slot?: number;
}

/** What came of asking for a reply: it came, nothing came, or the question could not be put. */
export type Heard = 'answered' | 'silent' | 'not-measured';

/**
 * Replies asked for with CHANGE-REQUEST on a socket that has sent to the server's main address only.
 * `control` is the same request after the other address was sent to as well: if even that brings no reply,
 * the server does not honour the request (or all was lost), and silence proves nothing.
 */
export interface FilteringEvidence {
  readonly changeBoth: Heard;
  readonly changePort: Heard;
  readonly control: Heard;
}

/** Everything observed about one NAT. */
export interface Evidence {
  readonly local: Endpoint;
  /** Addresses of this machine. */
  readonly localAddresses: readonly string[];
  /** In the order in which the destinations were first sent to. */
  readonly samples: readonly MappingSample[];
  readonly filtering?: FilteringEvidence;
  /** Did a datagram between two of our sockets come back through the outside address? */
  readonly hairpin?: Heard;
}

/** Ports further apart than this are not steps of one counter that somebody could follow. */
const MAX_PORT_STEP = 64;

/** The NAT report that the evidence supports; whatever it does not settle is `not-measured`. */
export function classify(evidence: Evidence): NatReport {
  const { local, samples, filtering, hairpin } = evidence;
  const first = samples[0]?.mapped;
  const nat = first ? classifyNat(first, local, evidence.localAddresses) : 'not-measured';
  const mapping = classifyMapping(samples);
  const portStep = classifyStep(samples, mapping);
  return {
    nat,
    mapping,
    filtering: filtering ? classifyFiltering(filtering, mapping) : 'not-measured',
    hairpin: nat === 'yes' ? classifyHairpin(hairpin, mapping) : 'not-measured',
    portPreservation: first ? (first.port === local.port ? 'yes' : 'no') : 'not-measured',
    ...(portStep !== undefined && { portStep }),
  };
}

function classifyNat(mapped: Endpoint, local: Endpoint, localAddresses: readonly string[]): Measured {
  const ours = mapped.address === local.address || localAddresses.includes(mapped.address);
  return ours && mapped.port === local.port ? 'no' : 'yes';
}

/**
 * RFC 4787 section 4.1. Independence needs two agreeing addresses; two answers for one destination, or answers
 * that no NAT of the three kinds gives, are contradictions (somebody lies, or the NAT changed): not measured.
 * Where address and port could not be told apart, the more demanding of the two kinds is named.
 */
export function classifyMapping(samples: readonly MappingSample[]): Mapping {
  const seen: MappingSample[] = [];
  for (const sample of samples) {
    const known = seen.find(({ destination }) => sameEndpoint(destination, sample.destination));
    if (known && !sameEndpoint(known.mapped, sample.mapped)) return 'not-measured';
    if (!known) seen.push(sample);
  }
  const pairs = seen.flatMap((a, i) =>
    seen.slice(i + 1).map((b) => ({
      sameAddress: a.destination.address === b.destination.address,
      samePort: a.destination.port === b.destination.port,
      sameMapping: sameEndpoint(a.mapped, b.mapped),
    })),
  );
  const within = pairs.filter((pair) => pair.sameAddress);
  const across = pairs.filter((pair) => !pair.sameAddress);
  if (across.length > 0 && pairs.every((pair) => pair.sameMapping)) return 'endpoint-independent';
  if (pairs.length > 0 && pairs.every((pair) => !pair.sameMapping)) return 'address-and-port-dependent';
  if (across.length === 0) return 'not-measured';
  if (across.every((pair) => !pair.sameMapping) && within.every((pair) => pair.sameMapping)) {
    return 'address-dependent';
  }
  // Not in RFC 4787, but plexus knows it: only the port matters.
  const portOnly = pairs.every((pair) => pair.sameMapping === pair.samePort);
  return portOnly ? 'address-and-port-dependent' : 'not-measured';
}

/** RFC 4787 section 5. */
export function classifyFiltering(evidence: FilteringEvidence, mapping: Mapping): Filtering {
  const { changeBoth, changePort, control } = evidence;
  if (changeBoth === 'answered') return 'endpoint-independent';
  // Behind a dependent mapping the control's reply meets another mapping than the one that was opened for it.
  const dependent = mapping === 'address-dependent' || mapping === 'address-and-port-dependent';
  const silenceCounts = control === 'answered' || (dependent && control === 'silent');
  if (!silenceCounts) return 'not-measured';
  if (changePort === 'silent') return 'address-and-port-dependent';
  return changePort === 'answered' && changeBoth === 'silent' ? 'address-dependent' : 'not-measured';
}

/** RFC 4787 section 6; silence says "no" only where the datagram had the right mapping to go to. */
function classifyHairpin(heard: Heard | undefined, mapping: Mapping): Measured {
  if (heard === 'answered') return 'yes';
  return heard === 'silent' && mapping === 'endpoint-independent' ? 'no' : 'not-measured';
}

/**
 * The distance between the ports of consecutive mappings, if three or more show that it is always the same small one. Where
 * each destination has a mapping of its own, those whose answers got lost are counted, too.
 */
function classifyStep(samples: readonly MappingSample[], mapping: Mapping): number | undefined {
  if (mapping !== 'address-and-port-dependent' && mapping !== 'address-dependent') return undefined;
  const fresh = samples.filter(
    ({ mapped }, i) => !samples.slice(0, i).some((earlier) => sameEndpoint(earlier.mapped, mapped)),
  );
  const placed = fresh.map(({ mapped, slot }, index) => ({
    port: mapped.port,
    place: mapping === 'address-and-port-dependent' ? (slot ?? index) : index,
  }));
  const [step, ...others] = placed.slice(1).map(({ port, place }, i) => {
    const before = placed[i] ?? { port, place: place - 1 };
    return (port - before.port) / (place - before.place);
  });
  if (step === undefined || others.length === 0) return undefined;
  if (!Number.isInteger(step) || Math.abs(step) > MAX_PORT_STEP) return undefined;
  return others.every((other) => other === step) ? step : undefined;
}
