import { isIP } from 'node:net';
import { TUNNEL_RANGE_MAX, TUNNEL_TEXT_BYTES } from './tunnel-limits.js';

export type TunnelProtocol = 'tcp' | 'udp';

/** What a connection through the tunnel leads to, as the exporting side sees it. */
export type TunnelTarget =
  | { readonly protocol: TunnelProtocol; readonly host: string; readonly port: number }
  | { readonly protocol: 'unix'; readonly path: string };

/** Ports `first` to `last`, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** One `--export`: an entry of the allow list. */
export type ExportSpec =
  | { readonly protocol: TunnelProtocol; readonly host: string; readonly ports: PortRange }
  | { readonly protocol: 'unix'; readonly path: string };

/** Where an import listens. */
export type LocalSpec = { readonly address: string; readonly port: number } | { readonly path: string };

/** One listener of an `--import` and what it leads to; a range comes to several. */
export interface ImportSpec {
  readonly local: LocalSpec;
  readonly target: TunnelTarget;
}

const DEFAULT_HOST = '127.0.0.1';
/** A name may begin with digits but is not made of them alone: those are ports and addresses. */
const NAME = String.raw`(?=[\d.-]*[A-Za-z_])[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}`;
const HOST = String.raw`\[[0-9A-Fa-f:.]+\]|\d{1,3}(?:\.\d{1,3}){3}|${NAME}`;
const PORTS = String.raw`\d{1,5}(?:-\d{1,5})?`;
/** A path without colon or control characters. */
const PATH = String.raw`[^:\p{Cc}]+`;
/** What sun_path of unix(7) holds, less the final zero. */
const PATH_BYTES = 107;
const END = `(?:unix:(${PATH})|(?:(${HOST}):)?(${PORTS}))`;
const EXPORT = new RegExp(`^(?:(tcp|udp):)?${END}$`, 'u');
const IMPORT = new RegExp(`^(?:(tcp|udp):)?${END}(?::${END})?$`, 'u');

/**
 * Reads `[tcp:|udp:][HOST:]PORT[-PORT]` or `unix:PATH`; without HOST it is 127.0.0.1.
 * @throws RangeError with what is wrong
 */
export function parseExport(text: string): ExportSpec {
  const match = EXPORT.exec(text);
  const [, protocol, path, host, ports] = match ?? [];
  if (path !== undefined && protocol === undefined) return { protocol: 'unix', path: checked(path) };
  if (ports === undefined) throw new RangeError('is not [tcp:|udp:][HOST:]PORT[-PORT] or unix:PATH');
  return { protocol: protocol === 'udp' ? 'udp' : 'tcp', host: hostOf(host), ports: rangeOf(ports) };
}

/**
 * Reads `[tcp:|udp:]LOCAL[:REMOTE]`: LOCAL is `[ADDRESS:]PORT[-PORT]` or `unix:PATH`, REMOTE is `[HOST:]PORT[-PORT]`
 * or `unix:PATH` on the other side, by default the same ports. One listener for each port.
 * @throws RangeError with what is wrong
 */
export function parseImport(text: string): ImportSpec[] {
  const [, written, localPath, address, localPorts, remotePath, host, remotePorts] = IMPORT.exec(text) ?? [];
  if (localPath === undefined && localPorts === undefined) {
    throw new RangeError(
      'is not [tcp:|udp:][ADDRESS:]PORT[-PORT][:[HOST:]PORT[-PORT]], with unix:PATH on either side',
    );
  }
  const protocol = written === 'udp' ? 'udp' : 'tcp';
  if (protocol === 'udp' && (localPath ?? remotePath) !== undefined) {
    throw new RangeError('joins UDP and a Unix socket, which carries connections');
  }
  if (localPath !== undefined && remotePath === undefined && remotePorts === undefined) {
    throw new RangeError('does not say what the socket leads to: unix:PATH:PORT or unix:PATH:unix:PATH');
  }
  for (const path of [localPath, remotePath]) if (path !== undefined) checked(path);
  const bind = addressOf(address);
  const remote = remotePorts === undefined ? undefined : rangeOf(remotePorts);
  const local = localPorts === undefined ? undefined : rangeOf(localPorts);
  const range = local ?? remote ?? { first: 1, last: 1 };
  const count = range.last - range.first + 1;
  if (count > TUNNEL_RANGE_MAX) throw new RangeError(`has ${count} ports; the most is ${TUNNEL_RANGE_MAX}`);
  const others = remotePath === undefined ? (remote ?? range) : range;
  if (others.last - others.first + 1 !== count) throw new RangeError('has ranges of different lengths');
  if (count > 1 && (localPath ?? remotePath) !== undefined) {
    throw new RangeError('joins several ports and one Unix socket');
  }
  return Array.from({ length: count }, (_, i) => ({
    local: localPath === undefined ? { address: bind, port: range.first + i } : { path: localPath },
    target:
      remotePath === undefined
        ? { protocol, host: hostOf(host), port: others.first + i }
        : { protocol: 'unix', path: remotePath },
  }));
}

/**
 * Reads one target: `[tcp:|udp:][HOST:]PORT` or `unix:PATH`; the form in which open frames name it.
 * @throws RangeError with what is wrong
 */
export function parseTarget(text: string): TunnelTarget {
  const spec = parseExport(text);
  if (spec.protocol === 'unix') return spec;
  if (spec.ports.first !== spec.ports.last) throw new RangeError('names several ports');
  return { protocol: spec.protocol, host: spec.host, port: spec.ports.first };
}

/** The one spelling of a target, as open frames carry it. */
export function formatTarget(target: TunnelTarget): string {
  if (target.protocol === 'unix') return `unix:${target.path}`;
  return `${target.protocol}:${bracketed(target.host)}:${target.port}`;
}

/** The one spelling of an export, as the hello lists it. */
export function formatExport(spec: ExportSpec): string {
  if (spec.protocol === 'unix') return `unix:${spec.path}`;
  const { first, last } = spec.ports;
  return `${spec.protocol}:${bracketed(spec.host)}:${first === last ? first : `${first}-${last}`}`;
}

/** Is the target on the list? Hosts are compared as written (names in lower case), so a name is not its address. */
export function isExported(target: TunnelTarget, exports: readonly ExportSpec[]): boolean {
  return exports.some((spec) => {
    if (target.protocol === 'unix') return spec.protocol === 'unix' && spec.path === target.path;
    return (
      spec.protocol === target.protocol &&
      spec.host === target.host &&
      spec.ports.first <= target.port &&
      target.port <= spec.ports.last
    );
  });
}

function checked(path: string): string {
  const bytes = Buffer.byteLength(path);
  if (bytes > PATH_BYTES)
    throw new RangeError(`has a path of ${bytes} bytes; a socket's has ${PATH_BYTES} at most`);
  return path;
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

function hostOf(text: string | undefined): string {
  if (text === undefined) return DEFAULT_HOST;
  const host = text.replace(/^\[|\]$/g, '').toLowerCase();
  const numeric = text.startsWith('[') || /^[\d.]+$/.test(host);
  if (numeric && isIP(host) === 0) throw new RangeError(`names ${text}, which is no IP address`);
  if (host.length > TUNNEL_TEXT_BYTES) throw new RangeError('names a host that is too long');
  return host;
}

function addressOf(text: string | undefined): string {
  const address = hostOf(text);
  if (address === 'localhost') return DEFAULT_HOST;
  if (isIP(address) === 0) {
    throw new RangeError(
      `would listen on "${address}", which is no IP address; write LOCALPORT:${address}:PORT to reach it`,
    );
  }
  return address;
}

function rangeOf(text: string): PortRange {
  const [first = 0, last = first] = text.split('-').map(Number);
  if (first < 1 || last > 65_535 || first > last)
    throw new RangeError(`names ${text}; ports are 1 to 65535, rising`);
  return { first, last };
}
