import { statSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { AwlError, errorText } from '../errors.js';
import { sleep } from '../util/sleep.js';

export interface Lock {
  release(): Promise<void>;
}

/** Long enough for a second process that judged the same lock stale to have shown itself. */
const SETTLE_MS = 20;

function inode(path: string): number | undefined {
  try {
    return statSync(path).ino;
  } catch {
    return undefined;
  }
}

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection(path);
    const done = (alive: boolean) => {
      probe.destroy();
      resolve(alive);
    };
    probe.setTimeout(1000, () => done(true));
    probe.once('connect', () => done(true));
    probe.once('error', () => done(false));
  });
}

function listen(path: string): Promise<Server | undefined> {
  const server = createServer((connection) => connection.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') return resolve(undefined);
      reject(
        new AwlError('FILE_WRITE', `cannot make the lock ${path}: ${errorText(error)}`, {
          hint: 'name a short folder of your own with --state-dir',
          cause: error,
        }),
      );
    });
    server.listen(path, () => resolve(server));
  });
}

/**
 * Takes the lock `name` in the 0700 folder `folder`, or returns undefined if a living process holds it.
 * The lock is a listening socket: the kernel drops it with its process, so a crash leaves nothing that
 * a pid number reused later could keep alive.
 */
export async function takeLock(folder: string, name: string): Promise<Lock | undefined> {
  const path = join(folder, `${name}.lock`);
  for (let attempt = 0; attempt < 5; attempt++) {
    const server = await listen(path);
    if (server) {
      const own = inode(path);
      await sleep(SETTLE_MS);
      if (inode(path) !== own) {
        server.close();
        return undefined;
      }
      server.unref();
      return { release: () => new Promise((resolve) => server.close(() => resolve())) };
    }
    const seen = inode(path);
    if (await isAlive(path)) return undefined;
    if (seen !== undefined && inode(path) === seen) unlinkSync(path);
  }
  return undefined;
}
