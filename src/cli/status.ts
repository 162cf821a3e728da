import { AwlError } from '../errors.js';
import { stateDirectory } from '../session/state-dir.js';
import { askStatus } from '../session/status-socket.js';
import type { CommandContext } from './command.js';
import { expandHome } from './input-file.js';
import { jsonLine } from './io.js';
import { processText } from './status-text.js';

/**
 * `awl status`: what every awl of this user does at this moment.
 * @returns 0
 * @throws AwlError NOT_RUNNING if there is none, FILE_WRITE if the folder is not to be trusted
 */
export async function runStatus({ options, io }: CommandContext): Promise<number> {
  const chosen = options.text('state-dir');
  const folder = stateDirectory(chosen === undefined ? undefined : expandHome(chosen));
  const running = await askStatus(folder);
  if (running.length === 0) {
    throw new AwlError('NOT_RUNNING', `no awl of yours is running with the state folder ${folder}`, {
      hint: 'one that was started with --state-dir, or by another user, must be asked with that folder and as that user',
    });
  }
  for (const status of running) {
    if (options.flag('json')) jsonLine(io, status);
    else io.stdout(processText(status));
  }
  return 0;
}
