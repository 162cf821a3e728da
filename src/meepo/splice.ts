import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { HALF_CLOSED_MS } from './limits.js';

/**
 * Joins a TCP connection and a stream of a path until both are over. Where the wire has no half-close, the end of the
 * client that dialled is held back while the answer still flows, as the real one would cut that off; the end of the
 * service that was dialled ends both.
 */
export function splice(socket: Socket, stream: Duplex, how: { halfClose: boolean; dialled: boolean }): void {
  const held = !how.halfClose && !how.dialled;
  socket.pipe(stream, { end: !held });
  stream.pipe(socket);
  let timer: NodeJS.Timeout | undefined;
  const rearm = () => {
    if (!timer) return;
    clearTimeout(timer);
    timer = setTimeout(() => stream.end(), HALF_CLOSED_MS);
  };
  if (held) {
    socket.once('end', () => {
      timer = setTimeout(() => stream.end(), HALF_CLOSED_MS);
    });
    stream.on('data', rearm);
  }
  const stop = () => clearTimeout(timer);
  socket.on('error', () => stream.destroy());
  stream.on('error', () => {
    if (socket.remoteAddress === undefined) socket.destroy();
    else socket.resetAndDestroy();
  });
  socket.once('close', () => {
    stop();
    if (!stream.writableEnded || !stream.readableEnded) stream.destroy();
  });
  stream.once('close', () => {
    stop();
    // What was read is still on its way to the socket.
    if (!socket.destroyed) socket.destroySoon();
  });
}
