import { AwlError } from '../errors.js';
import type { SideReport } from '../session/prediction.js';
import { type Endpoint, parseEndpoint } from '../util/endpoint.js';
import type { NatReport } from '../wire/nat-report.js';
import { readInputFile } from './input-file.js';
import { oneLine } from './io.js';

/** Version of what `awl doctor --json` and `--report` write. */
export const REPORT_VERSION = 1;
/** A report has 2 kB. */
const REPORT_MAX_BYTES = 64 * 1024;

const MEASURED = ['yes', 'no', 'not-measured'] as const;
const BEHAVIOUR = [
  'endpoint-independent',
  'address-dependent',
  'address-and-port-dependent',
  'not-measured',
] as const;
const STEP_MAX = 65_535;

type Fields = Readonly<Record<string, unknown>>;

function object(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}

function word<T extends string>(fields: Fields, name: string, words: readonly T[]): T {
  const found = words.find((one) => one === fields[name]);
  if (found === undefined) throw new Error(`"${name}" is none of ${words.join(', ')}`);
  return found;
}

function natReport(value: unknown): NatReport {
  const fields = object(value);
  if (!fields) throw new Error('it has no "report" of a NAT');
  const step = fields['portStep'];
  if (step !== undefined && !(Number.isInteger(step) && Math.abs(Number(step)) <= STEP_MAX)) {
    throw new Error('"portStep" is no number of ports');
  }
  return {
    nat: word(fields, 'nat', MEASURED),
    mapping: word(fields, 'mapping', BEHAVIOUR),
    filtering: word(fields, 'filtering', BEHAVIOUR),
    hairpin: word(fields, 'hairpin', MEASURED),
    portPreservation: word(fields, 'portPreservation', MEASURED),
    ...(step !== undefined && { portStep: Number(step) }),
  };
}

/** An endpoint, or nothing where there is none: `null` and a missing field mean the same. */
function endpoint(value: unknown, what: string): Endpoint | undefined {
  if (value === undefined || value === null) return undefined;
  const found = typeof value === 'string' ? parseEndpoint(value) : undefined;
  if (!found) throw new Error(`"${what}" is no address and port`);
  return found;
}

/**
 * Reads what `awl doctor --report` wrote on the other machine. Only what the prediction needs is taken, and no text of it is
 * ever shown.
 * @throws Error that says what is wrong
 */
export function parseReport(text: string): SideReport {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error('it is not JSON');
  }
  const fields = object(value);
  if (fields?.['v'] !== REPORT_VERSION) throw new Error('it is no report of this version of awl doctor');
  const outer = endpoint(fields['endpoint'], 'endpoint');
  const mapped = endpoint(object(fields['portMapping'])?.['external'], 'external');
  const ipv6 = endpoint(object(fields['ipv6'])?.['endpoint'], 'ipv6');
  return {
    nat: natReport(fields['report']),
    ...(outer && { outer }),
    ...(mapped && { mapped }),
    ...(ipv6 && { ipv6: ipv6.address }),
  };
}

/** @throws AwlError CONFIG_UNREADABLE naming the file and what is wrong with it */
export function readReport(file: string): SideReport {
  const { text } = readInputFile(file, "the peer's report", REPORT_MAX_BYTES);
  try {
    return parseReport(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new AwlError('CONFIG_UNREADABLE', `cannot use the peer's report ${oneLine(file)}: ${why}`, {
      hint: 'let the peer run awl doctor --report=FILE with the same version of awl',
      cause: error,
    });
  }
}
