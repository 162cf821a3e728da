import { isIP } from 'node:net';
import { STUN_PORT, STUN_RESOLVE_MS } from '../constants.js';
import { AwlError, errorText } from '../errors.js';
import { type Endpoint, familyOf, sameEndpoint } from '../util/endpoint.js';
import { formatHostPort, type HostPort } from '../util/host-port.js';
import { addressToBytes, bytesToAddress } from '../util/ip-bytes.js';
import { lookupName } from '../util/name-lookup.js';
import { deadline } from '../util/sleep.js';

/** Finds an address of a name in one family; may be told to stop, need not obey. */
export type Lookup = (host: string, family: 4 | 6, signal: AbortSignal) => Promise<string>;

export interface ResolveOptions {
  readonly signal?: AbortSignal;
  readonly lookup?: Lookup;
  readonly timeoutMs?: number;
}

/**
 * The address of a STUN server in the family of the local bind: one socket speaks one family.
 * @throws AwlError STUN_UNREACHABLE naming the server; the signal's reason when aborted
 */
export async function resolveServer(
  server: HostPort,
  local: Endpoint,
  options: ResolveOptions = {},
): Promise<Endpoint> {
  const family = familyOf(local);
  const port = server.port || STUN_PORT;
  const name = `STUN server ${formatHostPort(server)}`;
  const literal = isIP(server.host);
  if (literal === family) return { address: bytesToAddress(addressToBytes(server.host)), port };
  if (literal !== 0) {
    const [theirs, ours] = [`IPv${literal}`, `IPv${family}`];
    throw new AwlError('STUN_UNREACHABLE', `${name} is an ${theirs} address, the local bind is ${ours}`, {
      hint: `name an ${ours} server, or bind to an ${theirs} address with --stun-client`,
    });
  }
  const limit = deadline(
    options.timeoutMs ?? STUN_RESOLVE_MS,
    () => new Error('the name server did not answer in time'),
    options.signal,
  );
  let onAbort = () => {};
  try {
    // Not every lookup can be taken back; then it is only no longer waited for.
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => reject(limit.signal.reason);
      limit.signal.addEventListener('abort', onAbort, { once: true });
      if (limit.signal.aborted) onAbort();
    });
    const address = await Promise.race([
      (options.lookup ?? lookupName)(server.host, family, limit.signal),
      aborted,
    ]);
    return { address, port };
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw new AwlError('STUN_UNREACHABLE', `${name} has no IPv${family} address: ${errorText(cause)}`, {
      hint: 'check the spelling in --stun-server and that name resolution works, or give the address itself',
      cause,
    });
  } finally {
    limit.signal.removeEventListener('abort', onAbort);
    limit.dispose();
  }
}

/**
 * Addresses of all servers that have one, in the order given, each once.
 * @throws AwlError STUN_UNREACHABLE if none is left: the first server's error
 */
export async function resolveServers(
  servers: readonly HostPort[],
  local: Endpoint,
  signal?: AbortSignal,
): Promise<Endpoint[]> {
  const options = signal ? { signal } : {};
  const settled = await Promise.allSettled(servers.map((server) => resolveServer(server, local, options)));
  const found: Endpoint[] = [];
  for (const result of settled) {
    if (result.status !== 'fulfilled') continue;
    if (!found.some((known) => sameEndpoint(known, result.value))) found.push(result.value);
  }
  if (found.length > 0) return found;
  signal?.throwIfAborted();
  const failed = settled.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
  throw new AwlError('STUN_UNREACHABLE', 'no STUN server is named', { hint: 'name one with --stun-server' });
}
