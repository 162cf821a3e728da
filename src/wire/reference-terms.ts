import { type Endpoint, formatEndpoint, parseEndpoint } from '../util/endpoint.js';
import { decodePlexusNat, encodePlexusNat, type PlexusNat } from './plexus-nat.js';

export const QOS_PROTOS = ['udp', 'tcp', 'ssl', 'any'] as const;
export const QOS_ROLES = ['client', 'server', 'mutual', 'either'] as const;
export const ROUTES = ['direct', 'bridge', 'either'] as const;

/** What one side wants to speak, and as what: plexus' `--app-qos`. */
export interface Qos {
  readonly proto: (typeof QOS_PROTOS)[number];
  readonly role: (typeof QOS_ROLES)[number];
}

/** How one side is ready to be reached: `bridge` is a relay of plexus' kind. */
export type Route = (typeof ROUTES)[number];

/** One way to a side: its endpoint as STUN sees it, the NAT in front of it, a relay's endpoint. */
export interface Hole {
  readonly endpoint?: Endpoint;
  readonly nat: PlexusNat;
  readonly relay?: Endpoint;
  readonly route: Route;
}

/** What a 3.3 or 3.4 text says beyond the puzzle (spec c.1). */
export interface Terms {
  /** Microseconds since 1970, by the sender's clock. */
  readonly time: number;
  readonly udp: Hole;
  readonly tcp: Hole;
  readonly qos: Qos;
}

/** `udp:either`, what both sides mean that do not say anything. */
export const USUAL_QOS: Qos = { proto: 'udp', role: 'either' };

const NONE = '0.0.0.0:0';

export function formatQos({ proto, role }: Qos): string {
  return `${proto}:${role}`;
}

/** Reads `proto:role`; undefined if it is anything else. */
export function parseQos(text: string): Qos | undefined {
  const [protoText, roleText, more] = text.split(':');
  const proto = QOS_PROTOS.find((known) => known === protoText);
  const role = QOS_ROLES.find((known) => known === roleText);
  return proto && role && more === undefined ? { proto, role } : undefined;
}

/** UTC, ISO basic: `20261121T072702.470734`; without fraction where it is nought. */
export function encodeTime(time: number): string {
  const micros = time % 1_000_000;
  const second = new Date((time - micros) / 1000).toISOString().slice(0, 19).replaceAll(/[-:]/g, '');
  return micros === 0 ? second : `${second}.${String(micros).padStart(6, '0')}`;
}

/** Reads what {@link encodeTime} writes; undefined if it is anything else, or no date. */
export function decodeTime(text: string): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(?:\.(\d{6}))?$/.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second, micros = '0'] = match;
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  const time = ms * 1000 + Number(micros);
  if (!Number.isSafeInteger(time) || time < 0) return undefined;
  // The parser takes the 31st of February for the 3rd of March.
  return new Date(ms).toISOString().startsWith(`${year}-${month}-${day}T${hour}:`) ? time : undefined;
}

/** Is this a time that {@link encodeTime} can write? */
export function isTime(time: number): boolean {
  return Number.isSafeInteger(time) && time >= 0;
}

/** The fields between version and puzzle: six where both routes are direct (3.3), else ten (3.4). */
export function encodeTerms({ time, udp, tcp, qos }: Terms): { version: '3.3' | '3.4'; fields: string[] } {
  const plain = [udp, tcp].every((hole) => hole.route === 'direct' && !hole.relay);
  const hole = ({ endpoint, nat, relay, route }: Hole) => {
    const own = [endpoint ? formatEndpoint(endpoint) : NONE, encodePlexusNat(nat)];
    return plain ? own : [...own, relay ? formatEndpoint(relay) : NONE, route];
  };
  return {
    version: plain ? '3.3' : '3.4',
    fields: [encodeTime(time), ...hole(udp), ...hole(tcp), formatQos(qos)],
  };
}

/** Reads the six or ten fields; a text says which one is wrong. */
export function decodeTerms(fields: readonly string[]): Terms | string {
  const wide = fields.length === 10;
  if (!wide && fields.length !== 6) return `${fields.length + 3} fields`;
  const time = decodeTime(fields[0] ?? '');
  if (time === undefined) return 'the time is not one';
  const half = (fields.length - 2) / 2;
  const udp = decodeHole(fields.slice(1, 1 + half));
  if (typeof udp === 'string') return `the UDP ${udp}`;
  const tcp = decodeHole(fields.slice(1 + half, 1 + 2 * half));
  if (typeof tcp === 'string') return `the TCP ${tcp}`;
  const qos = parseQos(fields.at(-1) ?? '');
  if (!qos) return 'the quality of service is unknown';
  return { time, udp, tcp, qos };
}

function decodeHole([at = '', natText = '', relayAt, routeText]: readonly string[]): Hole | string {
  const endpoint = readPlace(at);
  if (endpoint === undefined) return 'endpoint is not one';
  const nat = decodePlexusNat(natText);
  if (!nat) return 'NAT is not described by eight binary digits';
  if (relayAt === undefined) return { ...(endpoint && { endpoint }), nat, route: 'direct' };
  const relay = readPlace(relayAt);
  if (relay === undefined) return 'relay is not an endpoint';
  const route = ROUTES.find((known) => known === routeText);
  if (!route) return 'route is unknown';
  return { ...(endpoint && { endpoint }), nat, ...(relay && { relay }), route };
}

/** An endpoint, null where the text says that there is none, undefined where it is malformed. */
function readPlace(text: string): Endpoint | null | undefined {
  if (text === NONE || text === '[::]:0') return null;
  const endpoint = parseEndpoint(text);
  return endpoint && endpoint.port > 0 ? endpoint : undefined;
}
