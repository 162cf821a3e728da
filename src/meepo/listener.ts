import { createServer, type Server } from 'node:net';
import { AwlError, errorText } from '../errors.js';
import type { Place } from './access.js';
import { formatPlace, parsePlace } from './destination.js';

/** A port of this machine that leads into a path. */
export interface Listener {
  readonly server: Server;
  readonly place: Place;
}

/** Listens at `HOST:PORT`, or at a free loopback port. @throws AwlError TCP_BIND, USAGE_BAD_VALUE */
export async function openListener(local: string | undefined): Promise<Listener> {
  const wanted = local === undefined || local === '' ? undefined : parsePlace('tcp', local);
  const [host, port] = [wanted?.host || '127.0.0.1', wanted?.port ?? 0];
  // Paused until somebody reads: what a client says before its connection stands is not lost.
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true });
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const place = formatPlace({ network: 'tcp', host, port });
      reject(
        new AwlError('TCP_BIND', `listen tcp ${place}: ${errorText(cause)}`, {
          hint: 'choose another address with -l',
          cause,
        }),
      );
    });
    server.listen(port, host, () => {
      server.removeAllListeners('error');
      server.on('error', () => {});
      const at = server.address();
      const real = typeof at === 'object' && at !== null ? at.port : port;
      resolve({ server, place: { network: 'tcp', host, port: real } });
    });
  });
}
