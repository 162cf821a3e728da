import { connect } from 'node:net';
import { type Endpoint, familyOf } from '../util/endpoint.js';

/** plexus lets its own go after this long (spec g.2). */
const KNOCK_MS = 10;

/**
 * One SYN toward the peer's TCP endpoint, so that our own NAT lets the peer's in, and then nothing more (spec g.2).
 * plexus gives it a low TTL; its ICMP answer would end the connection as this does.
 */
export function knockTcp(local: Endpoint, peer: Endpoint): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({
      host: peer.address,
      port: peer.port,
      localAddress: local.address,
      localPort: local.port,
      lookup: (host, _options, done) => done(null, host, familyOf(peer)),
    });
    const timer = setTimeout(() => socket.destroy(), KNOCK_MS);
    socket.on('error', () => {});
    socket.on('connect', () => socket.resetAndDestroy());
    socket.on('close', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
