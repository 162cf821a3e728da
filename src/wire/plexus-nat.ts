import type { Mapping, NatReport } from './nat-report.js';

/** Mapping and filtering in plexus' order of digits; it knows one more kind than RFC 4787. */
export const PLEXUS_BEHAVIOURS = [
  'independent',
  'port-dependent',
  'address-dependent',
  'address-and-port-dependent',
] as const;
export type PlexusBehaviour = (typeof PLEXUS_BEHAVIOURS)[number];

/** What the newer plexus texts tell of the NAT in front of one endpoint (spec c.1, "fw"). */
export interface PlexusNat {
  readonly nat: boolean;
  readonly hairpin: boolean;
  readonly randomPort: boolean;
  readonly variableAddress: boolean;
  readonly mapping: PlexusBehaviour;
  readonly filtering: PlexusBehaviour;
}

/** Of an endpoint that there is none: eight noughts. */
export const NO_NAT: PlexusNat = {
  nat: false,
  hairpin: false,
  randomPort: false,
  variableAddress: false,
  mapping: 'independent',
  filtering: 'independent',
};

/** What plexus 3.4 makes of a 3.0 text, which says nothing: `11100011`. */
export const ASSUMED_NAT: PlexusNat = {
  nat: true,
  hairpin: true,
  randomPort: true,
  variableAddress: false,
  mapping: 'independent',
  filtering: 'address-and-port-dependent',
};

/** Eight binary digits: nat, hairpin, random port, variable address, mapping (2), filtering (2). */
export function encodePlexusNat(nat: PlexusNat): string {
  const flags = [nat.nat, nat.hairpin, nat.randomPort, nat.variableAddress];
  const kinds = [nat.mapping, nat.filtering].map((kind) => PLEXUS_BEHAVIOURS.indexOf(kind));
  return (
    flags.map((flag) => (flag ? '1' : '0')).join('') +
    kinds.map((n) => n.toString(2).padStart(2, '0')).join('')
  );
}

/** Reads what {@link encodePlexusNat} writes; undefined if it is anything else. */
export function decodePlexusNat(text: string): PlexusNat | undefined {
  if (!/^[01]{8}$/.test(text)) return undefined;
  const flag = (at: number) => text[at] === '1';
  const kind = (at: number) => PLEXUS_BEHAVIOURS[Number.parseInt(text.slice(at, at + 2), 2)];
  const mapping = kind(4);
  const filtering = kind(6);
  if (!mapping || !filtering) return undefined;
  return {
    nat: flag(0),
    hairpin: flag(1),
    randomPort: flag(2),
    variableAddress: flag(3),
    mapping,
    filtering,
  };
}

const FROM_RFC: Readonly<Record<Exclude<Mapping, 'not-measured'>, PlexusBehaviour>> = {
  'endpoint-independent': 'independent',
  'address-dependent': 'address-dependent',
  'address-and-port-dependent': 'address-and-port-dependent',
};

/** Our report in plexus' words; what was not measured is what plexus assumes of a peer that does not say. */
export function plexusNatOf(report: NatReport): PlexusNat {
  const { nat, mapping, filtering, hairpin, portPreservation } = report;
  if (nat === 'no') return { ...NO_NAT, hairpin: true };
  const kind = (value: Mapping, assumed: PlexusBehaviour) =>
    value === 'not-measured' ? assumed : FROM_RFC[value];
  return {
    nat: true,
    hairpin: hairpin !== 'no',
    randomPort: portPreservation !== 'yes',
    variableAddress: false,
    mapping: kind(mapping, ASSUMED_NAT.mapping),
    filtering: kind(filtering, ASSUMED_NAT.filtering),
  };
}

/** What plexus says of its NAT in our words: only what the puncher asks for. */
export function reportOf(nat: PlexusNat): NatReport {
  const kind = (value: PlexusBehaviour): Mapping => {
    if (value === 'independent') return 'endpoint-independent';
    return value === 'address-dependent' ? 'address-dependent' : 'address-and-port-dependent';
  };
  const yes = (flag: boolean) => (flag ? 'yes' : 'no');
  return {
    nat: yes(nat.nat),
    mapping: kind(nat.mapping),
    filtering: kind(nat.filtering),
    hairpin: yes(nat.hairpin),
    portPreservation: yes(!nat.randomPort),
  };
}
