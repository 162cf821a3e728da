import { isIP } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import { lookupName } from '../util/name-lookup.js';
import { Turnstile } from '../util/turnstile.js';
import { type Acl, judge } from '../wire/acl.js';
import { aliasesOf, normaliseHost } from '../wire/acl-address.js';
import { REFUSALS } from '../wire/tunnel-refusal.js';
import { type ExportSpec, isExported, type TunnelTarget } from '../wire/tunnel-target.js';

/** What the peer may reach beyond the list of exports. */
export interface AnyTargets {
  readonly acl: Acl;
  /** Who the peer is in the rules: its name. */
  readonly peer: string;
}

/** May this address be dialled? */
export type Permit = (address: string) => boolean;

/**
 * What of `target` may be reached, judged address by address after names were looked up; undefined if it is neither
 * exported nor within rules. Whoever owns an exported name must not thereby reach this machine's own services.
 */
export function permitFor(
  target: TunnelTarget,
  exports: readonly ExportSpec[],
  within?: AnyTargets,
): Permit | undefined {
  if (isExported(target, exports)) {
    if (target.protocol === 'unix' || isIP(target.host) !== 0 || isOwnName(target.host)) return () => true;
    return (address) => !aliasesOf(address).includes('127.0.0.1');
  }
  if (!within || target.protocol === 'unix') return undefined;
  const { protocol: network, port } = target;
  const source = { id: within.peer, network, host: '', port: '' };
  const own = ownAddresses();
  return (host) => judge(within.acl, source, { id: '', network, host, port }, { own }) === 'allowed';
}

/** Names looked up at once for one peer: some lookups hold a thread of the process until the name server answers. */
const LOOKUPS = 8;

/** Looks names up for one peer, which thereby cannot keep everybody else from it. */
export function newLookups(): Turnstile {
  return new Turnstile(LOOKUPS);
}

/**
 * Addresses of `host` that may be dialled, at least one.
 * @throws Error whose `code` is the reason to refuse with
 */
export async function permittedAddresses(
  host: string,
  permit: Permit,
  lookups: Turnstile,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const found = isIP(normaliseHost(host)) === 0 ? await lookUp(host, lookups, signal) : [normaliseHost(host)];
  const permitted = found.map(normaliseHost).filter(permit);
  if (permitted.length > 0) return permitted;
  throw Object.assign(new Error(`${found.join(', ')} is not allowed`), { code: REFUSALS.forbidden });
}

async function lookUp(host: string, lookups: Turnstile, signal: AbortSignal): Promise<readonly string[]> {
  const both = () => Promise.allSettled(([6, 4] as const).map((family) => lookupName(host, family, signal)));
  const answers = await lookups.run(both, signal).catch(() => []);
  const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  if (found.length > 0) return found;
  const code = signal.aborted ? REFUSALS.silent : 'ENOTFOUND';
  throw Object.assign(new Error(`${host} has no address`), { code });
}

function isOwnName(host: string): boolean {
  return host === 'localhost' || host.endsWith('.localhost') || host === hostname().toLowerCase();
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((all) =>
    (all ?? []).map(({ address }) => normaliseHost(address)),
  );
}
