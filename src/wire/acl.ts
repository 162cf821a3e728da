import { BlockList, isIP } from 'node:net';
import { aliasesOf, normaliseHost } from './acl-address.js';

/**
 * Access rules in Meepo's grammar: `[SOURCE,]DESTINATION`, each `*`, `HOST:PORT`, `NETWORK:HOST:PORT` or
 * `ID:NETWORK:HOST:PORT`, any part `*`. HOST is an address or a network in CIDR notation.
 */
export interface AclRule {
  readonly source: AclPattern;
  readonly destination: AclPattern;
}

export interface AclPattern {
  readonly id: string;
  readonly network: string;
  readonly host: string;
  readonly port: string;
  /** What a port range of the strict grammar comes to. */
  readonly range?: readonly [first: number, last: number];
}

/** One end of what is judged. */
export interface AclParty {
  /** Who: a peer's name, or a Meepo id. */
  readonly id: string;
  readonly network: string;
  readonly host: string;
  readonly port: string | number;
}

export interface Acl {
  readonly allows: readonly AclRule[];
  readonly blocks: readonly AclRule[];
}

/**
 * `strict` takes only rules that can match (awl's own): a name, a port 0 or a mistyped network is an error, not a rule
 * that silently does nothing, and port ranges and `[IPv6]` are understood. Nothing allowed means nothing.
 * `meepo` takes exactly what Meepo takes, and without allows it allows everything.
 */
export type AclGrammar = 'strict' | 'meepo';

/** `blocked` by a rule, or `unlisted`: no allow matches. Meepo says "acl: not allowed" for both. */
export type AclVerdict = 'allowed' | 'blocked' | 'unlisted';

export interface JudgeOptions {
  /** Judge texts as they stand, as Meepo does: `:22` and `[::1]:22` then pass a block of `127.0.0.1:22`. */
  readonly literal?: boolean;
  /** Addresses of this machine; a block of its loopback closes them too. */
  readonly own?: readonly string[];
}

const ANY: AclPattern = { id: '*', network: '*', host: '*', port: '*' };
const NETWORKS: readonly string[] = ['tcp', 'udp', 'socks5', '*'];
/** Rules are typed by people; more than this is a mistake. */
const RULE_CHARS = 512;
const INVALID =
  'is no rule: [SOURCE,]DESTINATION, each "*", HOST:PORT, NETWORK:HOST:PORT or ID:NETWORK:HOST:PORT';

/** @throws RangeError saying what is wrong with the first bad rule */
export function parseAcl(
  { allows = [], blocks = [] }: { readonly allows?: readonly string[]; readonly blocks?: readonly string[] },
  grammar: AclGrammar = 'strict',
): Acl {
  const listed = grammar === 'meepo' && allows.length === 0 ? ['*'] : allows;
  return {
    allows: listed.map((text) => parseRule(text, grammar)),
    blocks: blocks.map((text) => parseRule(text, grammar)),
  };
}

/**
 * Reads one rule.
 * @throws RangeError with what is wrong, as the end of a sentence that names the rule
 */
export function parseRule(text: string, grammar: AclGrammar = 'strict'): AclRule {
  const sides = text.split(',');
  const [first = '', second] = sides;
  if (sides.length > 2 || text.length > RULE_CHARS) throw new RangeError(INVALID);
  const read = grammar === 'meepo' ? split : strict;
  return {
    source: second === undefined ? ANY : read(first),
    destination: read(second ?? first),
  };
}

/** May `source` reach `destination`? A block wins over every allow. */
export function judge(
  acl: Acl,
  source: AclParty,
  destination: AclParty,
  { literal = false, own = [] }: JudgeOptions = {},
): AclVerdict {
  const hosts = literal ? [destination.host] : aliasesOf(destination.host, own);
  // A block closes every spelling of a place; an allow opens the one that will be dialled.
  const hit = (rules: readonly AclRule[], candidates: readonly string[]) =>
    rules.some(
      (rule) =>
        matches(rule.source, source, [source.host], literal) &&
        matches(rule.destination, destination, candidates, literal),
    );
  if (hit(acl.blocks, hosts)) return 'blocked';
  return hit(acl.allows, hosts.slice(0, 1)) ? 'allowed' : 'unlisted';
}

/** HOST and PORT of `HOST:PORT`, `[IPv6]:PORT` or `:PORT`, as they stand; undefined without a port. */
export function splitAddress(text: string): { readonly host: string; readonly port: string } | undefined {
  const [, bracketed, plain, port] = /^(?:\[([^\][]*)\]|([^:]*)):([^:]*)$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  return host === undefined || port === undefined ? undefined : { host, port };
}

function matches(pattern: AclPattern, party: AclParty, hosts: readonly string[], literal: boolean): boolean {
  return (
    (pattern.id === '*' || pattern.id === party.id) &&
    NETWORKS.includes(pattern.network) &&
    (pattern.network === '*' || pattern.network === party.network) &&
    matchesPort(pattern, String(party.port)) &&
    hosts.some((host) => matchesHost(pattern.host, host, literal))
  );
}

function matchesPort({ port, range }: AclPattern, wanted: string): boolean {
  if (range) return range[0] <= Number(wanted) && Number(wanted) <= range[1];
  return port === '*' || port === wanted;
}

function matchesHost(pattern: string, host: string, literal: boolean): boolean {
  if (pattern === '*' || pattern === host) return true;
  const network = networkOf(pattern);
  if (network) return isIP(host) === network.family && network.list.check(host, `ipv${network.family}`);
  return !literal && isIP(pattern) !== 0 && normaliseHost(pattern) === host;
}

function networkOf(text: string): { readonly family: 4 | 6; readonly list: BlockList } | undefined {
  const [, address = '', digits = ''] = /^([0-9a-f:.]+)\/(\d{1,3})$/i.exec(text) ?? [];
  const family = isIP(address);
  const bits = Number(digits);
  if ((family !== 4 && family !== 6) || bits > (family === 4 ? 32 : 128)) return undefined;
  const list = new BlockList();
  list.addSubnet(address, bits, `ipv${family}`);
  return { family, list };
}

/** Meepo's way: up to four parts, never mind what stands in them. */
function split(text: string): AclPattern {
  if (text === '*') return ANY;
  const parts = text.split(':');
  const port = parts.slice(3).join(':');
  const [a = '', b, c = '', d] = parts.length > 4 ? [...parts.slice(0, 3), port] : parts;
  if (b === undefined) throw new RangeError(INVALID);
  if (parts.length === 2) return { ...ANY, host: a, port: b };
  if (d === undefined) return { ...ANY, network: a, host: b, port: c };
  return { id: a, network: b, host: c, port: d };
}

/** The same grammar, where every part must be able to match; IPv6 stands in brackets. */
function strict(text: string): AclPattern {
  if (text === '*') return ANY;
  const form = /^(?:(?:([^:\][]+):)?([^:\][]+):)?(?:\[([^\][]+)\]|([^:\][]+)):([^:\][]+)$/.exec(text);
  const [, id = '*', network = '*', six, plain = '', port = ''] = form ?? [];
  if (!form) throw new RangeError(INVALID);
  if (!NETWORKS.includes(network))
    throw new RangeError(`names the network "${network}"; awl knows tcp and udp`);
  checkHost(six ?? plain, six === undefined ? 4 : 6);
  const range = rangeOf(port);
  return { id, network, host: six ?? plain, port, ...(range && { range }) };
}

function checkHost(host: string, family: 4 | 6): void {
  if (host === '*' && family === 4) return;
  if (isIP(host) === family || networkOf(host)?.family === family) return;
  if (isIP(host) !== 0 || networkOf(host)) throw new RangeError('has an IPv6 address; write it in brackets');
  const what = `names the host "${host}"`;
  throw new RangeError(
    `${what}; rules hold addresses and networks (10.0.0.0/8), as whoever owns a name decides where it leads`,
  );
}

function rangeOf(port: string): readonly [number, number] | undefined {
  if (port === '*') return undefined;
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(port) ?? [];
  const range = [Number(first), Number(last)] as const;
  if (range[0] >= 1 && range[1] <= 65_535 && range[0] <= range[1]) return range;
  throw new RangeError(`names the port "${port}"; ports are 1 to 65535, a range or "*"`);
}
