import { formatName, type PartialName } from '../identity/names.js';
import { StatusBoard } from '../session/board.js';
import type { EventSink } from '../session/events.js';
import { runAcceptor, runInitiator } from '../session/run.js';
import type { AcceptorSettings } from '../session/settings.js';
import { startWatching } from '../session/watching.js';
import { formatEndpoint } from '../util/endpoint.js';
import type { CommandContext } from './command.js';
import { fitHeapForTraffic } from './heap.js';
import { jsonLine, letGoOfStdout } from './io.js';
import { serveMetrics } from './metrics.js';
import { warn } from './prepare.js';
import { type Progress, showProgress } from './progress.js';
import { sessionMetrics } from './session-metrics.js';
import { type CliSettings, sessionSettings } from './settings.js';

/** awl without a command: one side of a session. */
export async function runSession(context: CommandContext): Promise<number> {
  const { options, io, log, signal } = context;
  const cli = await sessionSettings(options, io.env, signal);
  const { accept, settings, stdio, warnings } = cli;
  for (const warning of warnings) warn(io, warning);
  if (settings.tunnel) fitHeapForTraffic();
  const json = options.flag('json');
  const board = new StatusBoard({
    mode: accept ? 'accept' : 'invite',
    app: settings.app,
    host: nameText(settings.host),
    peer: nameText(settings.peer),
  });
  const progress = progressOf(context, cli, board);
  const onEvent: EventSink = (event) => {
    board.take(event);
    progress?.draw();
    if (json) jsonLine(io, event);
  };
  const full: AcceptorSettings = {
    ...settings,
    log,
    signal,
    board,
    beside: () => showToOthers(context, board, settings.stateDir),
    onEvent,
    // A person may sit at the inviter's program; an acceptor's are many, and --json owns standard output.
    stdio: accept || json ? 'quiet' : 'inherit',
    ...(settings.tunnel &&
      stdio && {
        tunnel: {
          ...settings.tunnel,
          stdio: { target: stdio, input: process.stdin, output: process.stdout },
        },
      }),
  };
  if (stdio) process.stdout.once('finish', letGoOfStdout);
  try {
    return await (accept ? runAcceptor(full) : runInitiator(full));
  } finally {
    progress?.close();
  }
}

/** As the status shows it; nothing for everybody. */
export function nameText(name: PartialName): string {
  return name.owner === undefined && name.pin === undefined ? '' : formatName(name);
}

/** What shows the board to others: `awl status` and `--metrics`. */
export async function showToOthers(
  context: Pick<CommandContext, 'options' | 'io' | 'log'>,
  board: StatusBoard,
  stateDir: string | undefined,
) {
  const metrics = await openMetrics(context, board);
  const watching = await startWatching(board, { log: context.log, ...(stateDir && { stateDir }) });
  return {
    close: async () => {
      await watching.close();
      await metrics?.close();
    },
  };
}

async function openMetrics({ options, io }: Pick<CommandContext, 'options' | 'io'>, board: StatusBoard) {
  const at = options.local('metrics');
  if (!at) return undefined;
  if (!at.address.startsWith('127.') && at.address !== '::1') {
    warn(io, `--metrics=${formatEndpoint(at)} tells everybody who can connect there who your peers are`);
  }
  const metrics = await serveMetrics(at, () => sessionMetrics(board.snapshot()));
  io.stderr(`metrics on http://${formatEndpoint(metrics.endpoint)}/metrics\n`);
  return metrics;
}

/** Only for a person, and only while the terminal is not somebody else's: ssh's, or a program's. */
function progressOf(
  { options, io }: CommandContext,
  { settings, accept, stdio }: CliSettings,
  board: StatusBoard,
): Progress | undefined {
  const level = options.choice('log-level') ?? 'info';
  const talkative = level === 'info' || level === 'debug' || level === 'trace';
  if (!io.terminal || !talkative || options.flag('json') || stdio) return undefined;
  const given = () => !accept && settings.exec !== undefined && board.snapshot().passages > 0;
  return showProgress(board, io.terminal, given);
}
