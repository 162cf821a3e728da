import { once } from 'node:events';
import { connect, isIP, type Socket } from 'node:net';
import { errorText } from '../errors.js';
import type { Logger } from '../log.js';
import { TUNNEL_DIAL_MS } from '../wire/tunnel-limits.js';
import { REFUSALS } from '../wire/tunnel-refusal.js';
import { type ExportSpec, formatTarget, parseTarget, type TunnelTarget } from '../wire/tunnel-target.js';
import { type Find, serveFlow } from './flow-exporter.js';
import { join } from './join.js';
import { type ChannelHandler, NOBODY } from './mux.js';
import { type AnyTargets, newLookups, permitFor, permittedAddresses } from './reach.js';
import type { Tunnel } from './tunnel.js';

/** A peer must not be able to fill the log. */
const REFUSALS_LOGGED = 20;

/**
 * Answers the peer's opens: what is on the list, or within the rules of `within`, is connected from here, everything
 * else refused. Names are looked up here, and what they lead to is judged again.
 */
export function serveExports(exports: readonly ExportSpec[], log: Logger, within?: AnyTargets) {
  let refused = 0;
  const lookups = newLookups();
  const forbid = (tunnel: Tunnel, id: number, text: string, reason: string) => {
    refused += 1;
    const last = refused === REFUSALS_LOGGED ? '; more of these are not logged' : '';
    if (refused <= REFUSALS_LOGGED) {
      log.warning(`the peer asks for ${JSON.stringify(text.slice(0, 128))}, which is ${reason}${last}`);
    }
    tunnel.mux.refuse(id, reason);
  };
  return (tunnel: Tunnel, id: number, text: string): ChannelHandler => {
    const target = readTarget(text);
    const permit = target && permitFor(target, exports, within);
    if (!target || !permit) {
      forbid(tunnel, id, text, REFUSALS.unlisted);
      return NOBODY;
    }
    log.debug(`the peer opens ${text}`);
    const refuse = (reason: string) => {
      if (reason === REFUSALS.forbidden) {
        forbid(tunnel, id, text, reason);
        return;
      }
      log.info(`${formatTarget(target)} cannot be reached: ${reason}`);
      tunnel.mux.refuse(id, reason);
    };
    const find: Find = (host, signal) => permittedAddresses(host, permit, lookups, signal);
    if (target.protocol === 'udp') return serveFlow(tunnel, id, { ...target, find, refuse });
    return serveConnection(tunnel, id, target, find, refuse);
  };
}

function readTarget(text: string): TunnelTarget | undefined {
  try {
    return parseTarget(text);
  } catch {
    return undefined;
  }
}

function serveConnection(
  tunnel: Tunnel,
  id: number,
  target: Exclude<TunnelTarget, { readonly protocol: 'udp' }>,
  find: Find,
  refuse: (reason: string) => void,
): ChannelHandler {
  const channel = tunnel.adopt(id);
  const dialling = new AbortController();
  const timer = setTimeout(() => dialling.abort(), TUNNEL_DIAL_MS);
  channel.once('close', () => dialling.abort());
  void dial(target, find, dialling.signal)
    .then(
      (socket) => {
        tunnel.mux.accept(id);
        join(socket, channel);
      },
      (error: NodeJS.ErrnoException) => {
        if (channel.destroyed) return;
        refuse(dialling.signal.aborted ? REFUSALS.silent : (error.code ?? errorText(error)));
        // A channel that was refused is over for the peer; here it ends without a reset.
        channel.destroy();
      },
    )
    .finally(() => clearTimeout(timer));
  return channel;
}

/** Connects to the first permitted address that answers. */
async function dial(
  target: Exclude<TunnelTarget, { readonly protocol: 'udp' }>,
  find: Find,
  signal: AbortSignal,
): Promise<Socket> {
  const to = target.protocol === 'unix' ? { path: target.path } : await addressed(target, find, signal);
  signal.throwIfAborted();
  const socket = connect({ ...to, allowHalfOpen: true, noDelay: true });
  try {
    await once(socket, 'connect', { signal });
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

async function addressed(
  { host, port }: { readonly host: string; readonly port: number },
  find: Find,
  signal: AbortSignal,
) {
  const addresses = await find(host, signal);
  const [first = ''] = addresses;
  if (addresses.length === 1) return { host: first, port };
  const all = addresses.map((address) => ({ address, family: isIP(address) }));
  const lookup = (_name: string, _options: unknown, done: (error: null, found: typeof all) => void) =>
    done(null, all);
  return { host, port, lookup, autoSelectFamily: true };
}
