import { AwlError } from '../errors.js';
import type { Logger } from '../log.js';
import { resolveServers } from '../stun/resolve.js';
import { bindTcp, type TcpBinding } from '../stun/tcp-client.js';
import { type Endpoint, formatEndpoint, sameEndpoint } from '../util/endpoint.js';
import type { HostPort } from '../util/host-port.js';
import type { NatReport } from '../wire/nat-report.js';
import { type PlexusNat, plexusNatOf } from '../wire/plexus-nat.js';
import type { Hole } from '../wire/reference-terms.js';

/** What TCP needs to know before it can punch. */
export interface TcpSettings {
  /** STUN servers that answer over TCP, asked one after the other. */
  readonly stun: readonly HostPort[];
  /** Local address and port; port 0 = a fresh one each session. */
  readonly bind: Endpoint;
}

/** A local TCP port, where the outside sees it, and the connection that keeps both until they are released. */
export interface TcpMapping {
  readonly local: Endpoint;
  readonly hole: Hole & { readonly endpoint: Endpoint };
  /** Frees the port at once: a reset leaves no TIME_WAIT behind. Idempotent. */
  release(): Promise<void>;
}

/**
 * Own TCP endpoint as STUN sees it, and how the NAT maps as far as one server can tell; what TCP cannot measure is
 * taken from UDP.
 * @throws AwlError STUN_UNREACHABLE; the signal's reason
 */
export async function openTcpMapping(
  { stun, bind }: TcpSettings,
  udp: NatReport,
  o: { readonly log: Logger; readonly signal?: AbortSignal },
): Promise<TcpMapping> {
  const binding = await firstAnswer(await resolveServers(stun, bind, o.signal), bind, o);
  const nat = await measure(binding, udp, o.signal);
  o.log.info(`TCP ${formatEndpoint(binding.local)} is seen at ${formatEndpoint(binding.mapped)}`);
  return {
    local: { address: bind.address, port: binding.local.port },
    hole: { endpoint: binding.mapped, nat, route: 'direct' },
    release: () => free(binding),
  };
}

/** Where the outside sees a local TCP port, and nothing about its NAT. */
export interface AskedTcp {
  readonly local: Endpoint;
  readonly mapped: Endpoint;
  release(): Promise<void>;
}

/** @throws AwlError STUN_UNREACHABLE; the signal's reason */
export async function askTcp(
  { stun, bind }: TcpSettings,
  o: { readonly log: Logger; readonly signal: AbortSignal },
): Promise<AskedTcp> {
  const binding = await firstAnswer(await resolveServers(stun, bind, o.signal), bind, o);
  const { local, mapped } = binding;
  return { local, mapped, release: () => free(binding) };
}

async function firstAnswer(
  servers: readonly Endpoint[],
  bind: Endpoint,
  { log, signal }: { readonly log: Logger; readonly signal?: AbortSignal },
): Promise<TcpBinding> {
  let failure: unknown;
  for (const server of servers) {
    try {
      return await bindTcp(bind, server, signal);
    } catch (error) {
      signal?.throwIfAborted();
      failure ??= error;
      log.debug(`no TCP endpoint: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw (
    failure ??
    new AwlError('STUN_UNREACHABLE', 'no STUN server for TCP is named', { hint: 'name one with --tcp-stun' })
  );
}

/** A second connection, to the server's other address: does the NAT show another port there? */
async function measure(first: TcpBinding, udp: NatReport, signal?: AbortSignal): Promise<PlexusNat> {
  if (sameEndpoint(first.local, first.mapped)) return plexusNatOf({ ...udp, nat: 'no' });
  const base = plexusNatOf({ ...udp, nat: 'yes' });
  const known = {
    ...base,
    randomPort: first.local.port !== first.mapped.port,
    mapping: 'independent',
    filtering: 'address-and-port-dependent',
  } as const;
  if (!first.alternate) return known;
  try {
    const second = await bindTcp(first.local, first.alternate, signal);
    second.socket.resetAndDestroy();
    const moved = second.mapped.address !== first.mapped.address;
    if (sameEndpoint(second.mapped, first.mapped)) return known;
    return { ...known, variableAddress: moved, mapping: 'address-and-port-dependent' };
  } catch {
    signal?.throwIfAborted();
    return known;
  }
}

async function free({ socket }: TcpBinding): Promise<void> {
  if (socket.closed) return;
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.resetAndDestroy();
  await closed;
}
