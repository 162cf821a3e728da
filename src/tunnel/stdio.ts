import type { Readable, Writable } from 'node:stream';
import { AwlError } from '../errors.js';
import { formatTarget, type TunnelTarget } from '../wire/tunnel-target.js';
import { ChannelError } from './channel.js';
import type { Tunnel } from './tunnel.js';

/** The two streams that become one connection. */
export interface StdioStreams {
  readonly input: Readable;
  readonly output: Writable;
}

/**
 * Makes standard input and output one connection to `target`; resolves when both directions ended and everything
 * that came was written. When the far side has ended its direction the output is ended, and the input goes on until it
 * ends, or until the peer takes nothing more.
 * @throws AwlError TUNNEL_REFUSED if the peer does not open it, TUNNEL_LOST if it broke
 */
export function joinStdio(tunnel: Tunnel, target: TunnelTarget, streams: StdioStreams): Promise<void> {
  const name = formatTarget(target);
  const channel = tunnel.connect(name);
  const { input, output } = streams;
  return new Promise((resolve, reject) => {
    const onOutputGone = () => channel.destroy();
    output.on('error', onOutputGone);
    output.once('close', onOutputGone);
    input.pipe(channel);
    channel.pipe(output, { end: false });
    channel.once('end', () => {
      // An output that closes now is at its end, not gone: the way out stays open.
      output.off('close', onOutputGone);
      output.end();
    });
    const stopSpeaking = () => {
      if (channel.deaf && channel.readableEnded) channel.destroy();
    };
    channel.once('end', stopSpeaking);
    channel.once('deaf', stopSpeaking);
    // An output that went away is a reader that had enough, like `head`.
    channel.once('close', () => {
      output.off('close', onOutputGone);
      input.unpipe(channel);
      input.destroy();
      const written = output.writableEnded ? output.writableFinished : output.writableLength === 0;
      if (written || output.destroyed) resolve();
      else {
        output.once(output.writableEnded ? 'finish' : 'drain', resolve);
        output.once('close', resolve);
      }
    });
    channel.once('error', (error) => {
      const refused = error instanceof ChannelError && error.refused;
      reject(
        new AwlError(refused ? 'TUNNEL_REFUSED' : 'TUNNEL_LOST', `${name}: ${error.message}`, {
          hint: refused
            ? 'the peer must export exactly this with --export, and something must listen there'
            : 'the other end of the connection, or the path to the peer, broke',
        }),
      );
    });
  });
}
