import type { Mapping, Measured, NatReport } from './nat-report.js';

const MEASURED: Readonly<Record<Measured, string>> = { yes: 'y', no: 'n', 'not-measured': '-' };
const BEHAVIOUR: Readonly<Record<Mapping, string>> = {
  'endpoint-independent': 'i',
  'address-dependent': 'a',
  'address-and-port-dependent': 'p',
  'not-measured': '-',
};
const STEP_MAX = 65_535;

/**
 * A NAT report in five characters and, if known, the signed port step: `nat mapping filtering hairpin port-preservation`,
 * such as `yip-y` or `yppnn+2` (docs/PROTOCOL.md).
 */
export function encodeNat(report: NatReport): string {
  const { nat, mapping, filtering, hairpin, portPreservation, portStep } = report;
  const step = portStep === undefined ? '' : `${portStep < 0 ? '' : '+'}${portStep}`;
  return (
    MEASURED[nat] +
    BEHAVIOUR[mapping] +
    BEHAVIOUR[filtering] +
    MEASURED[hairpin] +
    MEASURED[portPreservation] +
    step
  );
}

/** Reads what {@link encodeNat} writes; undefined if it is anything else. */
export function decodeNat(value: unknown): NatReport | undefined {
  if (typeof value !== 'string') return undefined;
  const match = /^([yn-])([iap-])([iap-])([yn-])([yn-])([+-]\d{1,5})?$/.exec(value);
  if (!match) return undefined;
  // Adding zero turns -0 into 0.
  const step = match[6] === undefined ? undefined : Number(match[6]) + 0;
  if (step !== undefined && Math.abs(step) > STEP_MAX) return undefined;
  return {
    nat: named(MEASURED, match[1]),
    mapping: named(BEHAVIOUR, match[2]),
    filtering: named(BEHAVIOUR, match[3]),
    hairpin: named(MEASURED, match[4]),
    portPreservation: named(MEASURED, match[5]),
    ...(step !== undefined && { portStep: step }),
  };
}

function named<T extends string>(table: Readonly<Record<T, string>>, letter: string | undefined): T {
  const name = (Object.keys(table) as T[]).find((key) => table[key] === letter);
  if (name === undefined) throw new RangeError(`no word for ${letter}`);
  return name;
}
