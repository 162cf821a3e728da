import type { Socket } from 'node:net';
import { readInto } from '../util/read-into.js';
import type { Channel } from './channel.js';

/**
 * Joins a socket and a channel until both directions are over: half-close, reset and backpressure pass through. A
 * direction that ended in order arrives whole, whatever becomes of the other.
 */
export function join(socket: Socket, channel: Channel): void {
  const again = () => void socket.resume();
  const pour = (bytes: Uint8Array) => {
    if (!channel.offer(bytes, again)) socket.pause();
  };
  if (readInto(socket, pour)) {
    socket.once('end', () => channel.end());
    socket.resume();
  } else socket.pipe(channel);
  channel.pipe(socket);
  channel.outlet = (bytes, keep) => {
    if (socket.writableLength > 0 || !socket.writable || socket.connecting) return false;
    socket.write(bytes);
    // What the kernel did not take at once lies there until it does.
    if (socket.writableLength > 0) keep();
    return true;
  };
  socket.on('error', () => {
    socket.unpipe(channel);
    if (!channel.writableEnded) {
      channel.destroy();
      return;
    }
    // What the socket said ended in order; only the way back is gone.
    channel.unpipe(socket);
    channel.resume();
    if (channel.writableFinished) channel.destroy();
    else channel.once('finish', () => channel.destroy());
  });
  socket.once('close', () => {
    if (!channel.writableEnded) channel.destroy();
  });
  const stopSpeaking = () => {
    if (channel.deaf && channel.readableEnded) socket.destroySoon();
  };
  channel.once('end', stopSpeaking);
  channel.once('deaf', stopSpeaking);
  channel.once('close', () => {
    if (!socket.destroyed && !(channel.readableEnded && channel.writableFinished)) abort(socket);
  });
}

/** A Unix socket knows no reset. */
function abort(socket: Socket): void {
  if (socket.remoteAddress === undefined) socket.destroy();
  else socket.resetAndDestroy();
}
