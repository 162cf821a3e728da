import { runAcceptor, runInitiator } from '../session/run.js';
import type { AcceptorSettings } from '../session/settings.js';
import type { CommandContext } from './command.js';
import { jsonLine } from './io.js';
import { warn } from './prepare.js';
import { sessionSettings } from './settings.js';

/** awl without a command: one side of a session. */
export async function runSession({ options, io, log, signal }: CommandContext): Promise<number> {
  const { accept, settings, stdio, warnings } = await sessionSettings(options, io.env, signal);
  for (const warning of warnings) warn(io, warning);
  const json = options.flag('json');
  const full: AcceptorSettings = {
    ...settings,
    log,
    signal,
    // A person may sit at the inviter's program; an acceptor's are many, and --json owns standard output.
    stdio: accept || json ? 'quiet' : 'inherit',
    ...(settings.tunnel &&
      stdio && {
        tunnel: {
          ...settings.tunnel,
          stdio: { target: stdio, input: process.stdin, output: process.stdout },
        },
      }),
    ...(json && { onEvent: (event) => jsonLine(io, event) }),
  };
  return accept ? runAcceptor(full) : runInitiator(full);
}
