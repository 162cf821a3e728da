import { chmodSync, rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { AwlError, errorText } from '../../errors.js';

function listening(server: Server, where: string, listen: (done: () => void) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const onError = (cause: Error) =>
      reject(
        new AwlError('TCP_BIND', `the API cannot listen on ${where}: ${errorText(cause)}`, {
          hint: 'another Meepo may run; api.port in the configuration names another port',
          cause,
        }),
      );
    server.once('error', onError);
    listen(() => {
      server.off('error', onError);
      resolve(server);
    });
  });
}

export function listenPort(server: Server, host: string, port: number): Promise<Server> {
  return listening(server, `${host}:${port}`, (done) => server.listen(port, host, done));
}

/** A unix socket, 0600 before anybody can connect. */
export async function listenSocket(server: Server, path: string): Promise<Server> {
  // Nobody answers there (it was asked before): what is left of a daemon that was killed.
  rmSync(path, { force: true });
  const mask = process.umask(0o177);
  try {
    await listening(server, path, (done) => server.listen(path, done));
  } finally {
    process.umask(mask);
  }
  chmodSync(path, 0o600);
  return server;
}
