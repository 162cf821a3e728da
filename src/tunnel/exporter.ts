import { connect, type Socket } from 'node:net';
import type { Logger } from '../log.js';
import { TUNNEL_DIAL_MS } from '../wire/tunnel-limits.js';
import {
  type ExportSpec,
  formatTarget,
  isExported,
  parseTarget,
  type TunnelTarget,
} from '../wire/tunnel-target.js';
import { serveFlow } from './flow-exporter.js';
import { join } from './join.js';
import type { ChannelHandler } from './mux.js';
import type { Tunnel } from './tunnel.js';

/** A peer must not be able to fill the log. */
const REFUSALS_LOGGED = 20;

const NOBODY: ChannelHandler = {
  accepted() {},
  refused() {},
  data() {},
  credit() {},
  ended() {},
  reset() {},
};

/**
 * Answers the peer's opens: what is on the list is connected from here, everything else refused. Names are looked
 * up here.
 */
export function serveExports(exports: readonly ExportSpec[], log: Logger) {
  let refused = 0;
  return (tunnel: Tunnel, id: number, text: string): ChannelHandler => {
    const target = readTarget(text);
    if (!target || !isExported(target, exports)) {
      refused += 1;
      const last = refused === REFUSALS_LOGGED ? '; more of these are not logged' : '';
      if (refused <= REFUSALS_LOGGED) {
        log.warning(`the peer asks for ${JSON.stringify(text.slice(0, 128))}, which is not exported${last}`);
      }
      tunnel.mux.refuse(id, 'not exported');
      return NOBODY;
    }
    log.debug(`the peer opens ${text}`);
    if (target.protocol === 'udp') return serveFlow(tunnel, id, target, log);
    return serveConnection(tunnel, id, target, log);
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
  log: Logger,
): ChannelHandler {
  const channel = tunnel.adopt(id);
  const socket = dial(target);
  const name = formatTarget(target);
  const refuse = (why: string) => {
    log.info(`${name} cannot be reached: ${why}`);
    // A channel that was refused is over for the peer; here it ends without a reset.
    tunnel.mux.refuse(id, why);
    channel.destroy();
    socket.destroy();
  };
  const timer = setTimeout(() => refuse('no answer'), TUNNEL_DIAL_MS);
  const onError = (error: NodeJS.ErrnoException) => refuse(error.code ?? error.message);
  socket.once('error', onError);
  socket.once('connect', () => {
    clearTimeout(timer);
    socket.off('error', onError);
    tunnel.mux.accept(id);
    join(socket, channel);
  });
  socket.once('close', () => clearTimeout(timer));
  channel.once('close', () => {
    if (socket.connecting) socket.destroy();
  });
  return channel;
}

function dial(target: TunnelTarget): Socket {
  const to = target.protocol === 'unix' ? { path: target.path } : { host: target.host, port: target.port };
  return connect({ ...to, allowHalfOpen: true, noDelay: true });
}
