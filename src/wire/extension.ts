import { EXTENSION_MAX_BYTES, EXTENSION_VERSION } from '../constants.js';
import { AwlError } from '../errors.js';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../util/endpoint.js';
import { decodeNat, encodeNat } from './extension-nat.js';
import type { NatReport } from './nat-report.js';

/** RFC 8445 words, and `mapped` (PCP, NAT-PMP, UPnP) and `predicted`. */
export const CANDIDATE_TYPES = ['host', 'srflx', 'mapped', 'predicted', 'relay'] as const;
export type CandidateType = (typeof CANDIDATE_TYPES)[number];

/** An address that the sender may be reached at. */
export interface Candidate {
  readonly type: CandidateType;
  readonly endpoint: Endpoint;
}

/** What awl adds to a reference, as a signed attribute (docs/PROTOCOL.md). Plexus ignores it. */
export interface Extension {
  readonly v: typeof EXTENSION_VERSION;
  readonly kind: 'invite' | 'accept';
  readonly app: string;
  /** Fingerprint of the recipient's certificate: hex SHA-256 of its SubjectPublicKeyInfo. */
  readonly to: string;
  /** Unix seconds after which the message is void. */
  readonly exp: number;
  /** In answers: digest of the invitation that is answered. */
  readonly re?: string;
  /** X25519 public key, 32 octets. */
  readonly dh?: Buffer;
  readonly cand: readonly Candidate[];
  /** Endpoints of further sockets that nothing but the STUN server has seen, in the order of the rounds. */
  readonly fresh?: readonly Endpoint[];
  readonly nat?: NatReport;
  /** What the sender can do besides plexus' protocol; unknown ones are ignored. */
  readonly caps: readonly string[];
}

/** How the sender can be met: what other signed messages of awl say, too. */
export type Means = Pick<Extension, 'dh' | 'cand' | 'fresh' | 'nat' | 'caps'>;

const MAX_ITEMS = 16;
const MAX_FRESH = 4;
const APP_MAX_CHARS = 128;
/** The last second of the year 9999: beyond it dates have no four-digit year. */
const EXP_MAX = 253_402_300_799;
const SHA256_HEX = /^[0-9a-f]{64}$/;
const X25519_BYTES = 32;

function malformed(what: string): AwlError {
  return new AwlError('MESSAGE_MALFORMED', `the message's extension is wrong: ${what}`, {
    hint: 'the peer signed it like this; its awl may be of another version',
  });
}

/**
 * JSON in UTF-8, keys in the order of docs/PROTOCOL.md; absent fields are left out.
 * @throws AwlError MESSAGE_MALFORMED, MESSAGE_TOO_LARGE if our own reader would refuse it
 */
export function encodeExtension(extension: Extension): Buffer {
  const { v, kind, app, to, exp, re } = extension;
  const bytes = Buffer.from(JSON.stringify({ v, kind, app, to, exp, re, ...meansToJson(extension) }));
  decodeExtension(bytes);
  return bytes;
}

/**
 * Reads strictly what {@link encodeExtension} writes; unknown keys are ignored.
 * @throws AwlError MESSAGE_TOO_LARGE above EXTENSION_MAX_BYTES, MESSAGE_UNSUPPORTED for another version,
 *   MESSAGE_MALFORMED
 */
export function decodeExtension(bytes: Uint8Array): Extension {
  if (bytes.length > EXTENSION_MAX_BYTES) {
    throw new AwlError(
      'MESSAGE_TOO_LARGE',
      `an extension of ${bytes.length} bytes; ${EXTENSION_MAX_BYTES} is the limit`,
    );
  }
  const fields = parseObject(bytes);
  const v = fields.get('v');
  if (v !== EXTENSION_VERSION) {
    if (!Number.isSafeInteger(v)) throw malformed('v is not a number');
    throw new AwlError(
      'MESSAGE_UNSUPPORTED',
      `the peer's awl writes extension ${v}, this one reads ${EXTENSION_VERSION}`,
      {
        hint: 'install the same version of awl on both sides',
      },
    );
  }
  const kind = fields.get('kind');
  if (kind !== 'invite' && kind !== 'accept') throw malformed('kind is neither invite nor accept');
  const exp = fields.get('exp');
  if (typeof exp !== 'number' || !Number.isInteger(exp) || exp < 0 || exp > EXP_MAX)
    throw malformed('exp is not a time');
  const app = string(fields.get('app'), 'app', /^[^\p{Cc}\p{Cs}]+$/u, APP_MAX_CHARS);
  const to = string(fields.get('to'), 'to', SHA256_HEX);
  const re = optional(fields, 're', (value) => string(value, 're', SHA256_HEX));
  return { v, kind, app, to, exp, ...(re !== undefined && { re }), ...readMeans(fields) };
}

/** The members of the JSON object that say {@link Means}; undefined ones are left out when it is written. */
export function meansToJson({ dh, cand, fresh, nat, caps }: Means): Readonly<Record<string, unknown>> {
  return {
    dh: dh?.toString('base64url'),
    cand: cand.map(({ type, endpoint }) => ({ t: type, a: formatEndpoint(endpoint) })),
    fresh: fresh?.map(formatEndpoint),
    nat: nat && encodeNat(nat),
    caps,
  };
}

/** Reads what {@link meansToJson} writes. @throws AwlError MESSAGE_MALFORMED */
export function readMeans(fields: ReadonlyMap<string, unknown>): Means {
  const dh = optional(fields, 'dh', readKey);
  const nat = optional(fields, 'nat', (value) => decodeNat(value) ?? fail('nat is not a NAT report'));
  const fresh = optional(fields, 'fresh', (value) => list(value, 'fresh', MAX_FRESH).map(readPlace));
  return {
    ...(dh && { dh }),
    cand: optional(fields, 'cand', (value) => list(value, 'cand').map(readCandidate)) ?? [],
    ...(fresh && { fresh }),
    ...(nat && { nat }),
    caps: optional(fields, 'caps', (value) => list(value, 'caps').map(readCapability)) ?? [],
  };
}

function fail(what: string): never {
  throw malformed(what);
}

/** The own members of the JSON object: a Map has no prototype to be confused by. */
function parseObject(bytes: Uint8Array): Map<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    throw new AwlError('MESSAGE_MALFORMED', "the message's extension is not JSON in UTF-8", { cause });
  }
  return new Map(Object.entries(object(value, 'it')));
}

function object(value: unknown, what: string): object {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw malformed(`${what} is not an object`);
  return value;
}

function optional<T>(
  fields: ReadonlyMap<string, unknown>,
  name: string,
  read: (value: unknown) => T,
): T | undefined {
  return fields.has(name) ? read(fields.get(name)) : undefined;
}

function string(value: unknown, what: string, pattern: RegExp, max = APP_MAX_CHARS): string {
  if (typeof value !== 'string' || value.length > max || !pattern.test(value))
    throw malformed(`${what} is not valid`);
  return value;
}

function list(value: unknown, what: string, max = MAX_ITEMS): unknown[] {
  if (!Array.isArray(value) || value.length > max) throw malformed(`${what} is not a list of at most ${max}`);
  return value;
}

function readKey(value: unknown): Buffer {
  const text = string(value, 'dh', /^[A-Za-z0-9_-]{43}$/);
  const key = Buffer.from(text, 'base64url');
  // The last character carries two bits too many; only the canonical spelling counts.
  if (key.length !== X25519_BYTES || key.toString('base64url') !== text)
    throw malformed('dh is not 32 octets');
  return key;
}

function readCandidate(value: unknown): Candidate {
  const fields = new Map<string, unknown>(Object.entries(object(value, 'a candidate')));
  const type =
    CANDIDATE_TYPES.find((known) => known === fields.get('t')) ?? fail('a candidate of unknown type');
  return { type, endpoint: readPlace(fields.get('a')) };
}

function readPlace(value: unknown): Endpoint {
  const endpoint = typeof value === 'string' ? parseEndpoint(value) : undefined;
  if (!endpoint || endpoint.port === 0) throw malformed('a candidate without address and port');
  return endpoint;
}

function readCapability(value: unknown): string {
  return string(value, 'a capability', /^[a-z][a-z0-9-]{0,31}$/);
}
