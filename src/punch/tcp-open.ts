import { randomInt } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { type Endpoint, familyOf } from '../util/endpoint.js';
import { sleep } from '../util/sleep.js';
import { TCP_OPEN_GAP_MS, TCP_OPEN_MS, TCP_OPEN_TRIES } from './tcp-limits.js';

export interface TcpOpenOptions {
  /** Where to connect from; port 0 for any. libuv sets SO_REUSEADDR, so several may come from one port. */
  readonly local: Endpoint;
  readonly peer: Endpoint;
  readonly signal: AbortSignal;
}

/**
 * Connects to a peer that connects to us at the same time (RFC 9293 section 3.5, simultaneous open). Each try keeps its
 * socket, and so its sequence number, as long as the network is silent: its SYN has opened our NAT, and the peer's
 * completes it. A port that refuses or an ICMP error ends the socket, and another one tries. Undefined if nothing came of it.
 */
export async function openTcp({ local, peer, signal }: TcpOpenOptions): Promise<Socket | undefined> {
  const over = AbortSignal.any([signal, AbortSignal.timeout(TCP_OPEN_MS)]);
  try {
    for (let tries = 0; tries < TCP_OPEN_TRIES; tries++) {
      const socket = await connectOnce(local, peer, over);
      if (socket) return socket;
      await sleep(randomInt(TCP_OPEN_GAP_MS.min, TCP_OPEN_GAP_MS.max), over);
    }
  } catch {
    // Aborted, or the time is over.
  }
  return undefined;
}

function connectOnce(local: Endpoint, peer: Endpoint, signal: AbortSignal): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(undefined);
    const socket = connect({
      host: peer.address,
      port: peer.port,
      localAddress: local.address,
      ...(local.port !== 0 && { localPort: local.port }),
      noDelay: true,
      lookup: (host, _options, done) => done(null, host, familyOf(peer)),
    });
    const finish = (result: Socket | undefined) => {
      signal.removeEventListener('abort', onAbort);
      socket.removeAllListeners();
      socket.on('error', () => {});
      if (!result) socket.destroy();
      resolve(result);
    };
    const onAbort = () => finish(undefined);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('error', () => finish(undefined));
    socket.on('connect', () => finish(isSelf(socket) ? undefined : socket));
  });
}

/** A socket that connects to its own port meets itself. */
function isSelf(socket: Socket): boolean {
  return socket.localPort === socket.remotePort && socket.localAddress === socket.remoteAddress;
}
