import { errorText } from '../errors.js';
import { type Logger, silentLogger } from '../log.js';
import type { StatusBoard } from './board.js';
import { ensureStateDirectory, stateDirectory } from './state-dir.js';
import { serveStatus } from './status-socket.js';

const SAMPLE_MS = 1_000;

export interface Watching {
  close(): Promise<void>;
}

/**
 * Gives a board its clock, and lets `awl status` ask for it. A socket that cannot be had is one warning and nothing
 * else: what the board shows is not what the process is for.
 */
export async function startWatching(
  board: StatusBoard,
  { stateDir, log = silentLogger }: { readonly stateDir?: string; readonly log?: Logger },
): Promise<Watching> {
  const timer = setInterval(() => board.sample(), SAMPLE_MS).unref();
  const shown = await showStatus(() => board.snapshot(), {
    log,
    ...(stateDir !== undefined && { stateDir }),
  });
  return {
    close: async () => {
      clearInterval(timer);
      await shown.close();
    },
  };
}

/** Lets `awl status` ask this process; where that cannot be had, it is one warning. */
export async function showStatus(
  read: Parameters<typeof serveStatus>[1],
  { stateDir, log = silentLogger }: { readonly stateDir?: string; readonly log?: Logger },
): Promise<Watching> {
  try {
    return await serveStatus(ensureStateDirectory(stateDirectory(stateDir)), read);
  } catch (error) {
    log.warning(`awl status will not find this process: ${errorText(error)}`);
    return { close: async () => {} };
  }
}
