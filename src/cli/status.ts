import { AwlError } from '../errors.js';
import { stateDirectory } from '../session/state-dir.js';
import { askStatus } from '../session/status-socket.js';
import type { CommandContext } from './command.js';
import { hubText } from './hub-text.js';
import { expandHome } from './input-file.js';
import { jsonLine } from './io.js';
import { statusAt } from './meepo/client.js';
import { socketPath } from './meepo/place.js';
import { nodeText } from './meepo/status-text.js';
import { processText } from './status-text.js';

/** As long as the other processes may take. */
const NODE_MS = 2_000;

/**
 * `awl status`: what every awl of this user does at this moment, its Meepo node included.
 * @returns 0
 * @throws AwlError NOT_RUNNING if there is none, FILE_WRITE if the folder is not to be trusted
 */
export async function runStatus({ options, io, signal }: CommandContext): Promise<number> {
  const chosen = options.text('state-dir');
  const folder = stateDirectory(chosen === undefined ? undefined : expandHome(chosen));
  const [running, node] = await Promise.all([
    askStatus(folder),
    statusAt(socketPath(io.env), NODE_MS, signal),
  ]);
  if (running.length === 0 && !node) {
    throw new AwlError('NOT_RUNNING', `no awl of yours is running with the state folder ${folder}`, {
      hint: 'one that was started with --state-dir, or by another user, must be asked with that folder and as that user',
    });
  }
  for (const status of running) {
    if (options.flag('json')) jsonLine(io, status);
    else io.stdout(status.mode === 'hub' ? hubText(status) : processText(status));
  }
  if (node && options.flag('json')) jsonLine(io, { ...node, mode: 'meepo' });
  else if (node) io.stdout(nodeText(node));
  return 0;
}
