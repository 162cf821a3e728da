import { isIP, isIPv4, isIPv6 } from 'node:net';
import type { Endpoint } from '../util/endpoint.js';
import type { HostPort } from '../util/host-port.js';

/** Service names that the documentation of plexus and mail providers use; /etc/services is not everywhere. */
const SERVICES: Readonly<Record<string, number>> = {
  smtps: 465,
  submissions: 465,
  imaps: 993,
  stun: 3478,
  turn: 3478,
  stuns: 5349,
  https: 443,
  http: 80,
  smtp: 25,
  submission: 587,
  imap: 143,
};

/** A problem in words, for the caller to put behind the option's name. */
export class EndpointProblem extends Error {}

function readPort(text: string, least: 0 | 1): number {
  const port = /^\d{1,6}$/.test(text) ? Number(text) : SERVICES[text.toLowerCase()];
  if (port === undefined) throw new EndpointProblem(`has the unknown port "${text}"`);
  if (port < least || port > 65_535) throw new EndpointProblem(`has port ${port}, which is not one`);
  return port;
}

interface Parts {
  readonly host: string;
  readonly port: string | undefined;
}

function split(text: string): Parts {
  const rest = /^(?:([A-Za-z][A-Za-z0-9+.-]*):\/\/)?(.*)$/s.exec(text);
  const service = rest?.[1];
  const body = rest?.[2] ?? '';
  const bracketed = /^\[([^\]]*)\](?::(.+))?$/s.exec(body);
  if (bracketed) {
    const host = bracketed[1] ?? '';
    if (!isIPv6(host)) throw new EndpointProblem(`has "${host}" in brackets, which is no IPv6 address`);
    return { host, port: bracketed[2] ?? service };
  }
  if (isIPv6(body)) return { host: body, port: service };
  const plain = /^([^:]*)(?::(.+))?$/s.exec(body);
  if (!plain) throw new EndpointProblem('is not host:port');
  return { host: plain[1] ?? '', port: plain[2] ?? service };
}

/** Labels of letters, digits, `-` and `_`; all digits and dots must be an IPv4 address. */
function checkHost(host: string): void {
  if (isIP(host)) return;
  if (host === '') throw new EndpointProblem('names no host');
  if (/^[\d.]+$/.test(host)) throw new EndpointProblem(`has "${host}", which is no IPv4 address`);
  if (host.length > 253 || !/^(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.|$))+$/.test(host)) {
    throw new EndpointProblem(`has "${host}", which is no host name`);
  }
}

/**
 * Reads `[proto://]host[:port]`, `[v6]:port` or a bare host (spec a.1); a protocol's name gives the port if no port
 * follows. Unlike in plexus, host names may hold `-`.
 * @throws EndpointProblem
 */
export function parseServer(text: string, defaultPort: number): HostPort {
  const { host, port } = split(text.trim());
  checkHost(host);
  return { host, port: port === undefined ? defaultPort : readPort(port, 1) };
}

/**
 * Reads an address of this machine with an optional port; 0 means a free one.
 * @throws EndpointProblem
 */
export function parseLocal(text: string, defaultPort: number): Endpoint {
  const { host, port } = split(text.trim());
  const address = host === 'localhost' ? '127.0.0.1' : host;
  if (!isIPv4(address) && !isIPv6(address)) {
    throw new EndpointProblem(`needs an IP address of this machine, not "${host}"`);
  }
  return { address, port: port === undefined ? defaultPort : readPort(port, 0) };
}
