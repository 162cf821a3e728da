import { AwlError, isAwlError } from '../errors.js';
import { isMeepoId } from '../wire/meepo/id.js';
import type { CommandContext } from './command.js';
import { oneLine } from './io.js';
import { ACTIONS } from './meepo/actions.js';
import type { MeepoContext } from './meepo/context.js';
import { commandHelp, overview } from './meepo/help.js';
import { NAME_ACTIONS, readNames } from './meepo/names.js';
import { socketPath } from './meepo/place.js';
import { findWords, parseWords } from './meepo/words.js';

type Run = (context: MeepoContext) => Promise<string>;

/** Only what needs more than the daemon's answer is loaded when it is called. */
async function runOf(path: string): Promise<Run | undefined> {
  if (path.startsWith('config ')) return (await import('./meepo/config-actions.js')).CONFIG_ACTIONS[path];
  if (path === 'keygen') return (await import('./meepo/identity.js')).runKeygen;
  if (path === 'ssh') return (await import('./meepo/ssh.js')).runSsh;
  return ACTIONS[path] ?? NAME_ACTIONS[path];
}

async function runDoctor(context: MeepoContext): Promise<number> {
  const { checkNode, nodeCheckText } = await import('./meepo/doctor.js');
  const { gravestStatus } = await import('./exit-codes.js');
  const checks = await checkNode(context);
  const json = context.flags.get('json') === 'true';
  context.io.stdout(json ? `${JSON.stringify({ meepo: checks })}\n` : nodeCheckText(checks));
  return gravestStatus(checks);
}

/**
 * `awl meepo`: the real one's command line. Errors are one line in its words, and unlike there the status says so.
 */
export async function runMeepo({ operands, io, signal }: CommandContext): Promise<number> {
  try {
    const found = findWords(operands);
    if (!found) {
      io.stdout(overview(operands[0] === 'help' ? operands[1] : operands[0]));
      return 0;
    }
    const { words, flags } = parseWords(found.words, found.rest);
    if (flags.get('help') === 'true') {
      io.stdout(commandHelp(found.words));
      return 0;
    }
    const host = flags.get('host');
    const context: MeepoContext = {
      words,
      flags,
      io,
      signal,
      daemon: { socket: socketPath(io.env), ...(host !== undefined && { host }) },
      peer: (word = '') =>
        isMeepoId(word) ? word : (readNames(io.env).get(word.replace(/\.mpo$/, '')) ?? word),
    };
    if (found.words.path === 'serve') return await (await import('./meepo/serve.js')).runServe(context);
    if (found.words.path === 'ncat') return await (await import('./meepo/ncat.js')).runNcat(context);
    if (found.words.path === 'doctor') return await runDoctor(context);
    const run = await runOf(found.words.path);
    if (!run) throw new AwlError('INTERNAL', `no action for ${found.words.path}`);
    io.stdout(await run(context));
    return 0;
  } catch (error) {
    if (!isAwlError(error) || error.code === 'INTERNAL') throw error;
    if (error.code === 'ABORTED') return error.exitCode;
    io.stderr(`Error: ${oneLine(error.message)}\n`);
    if (error.hint) io.stderr(`  hint: ${oneLine(error.hint)}\n`);
    return error.exitCode;
  }
}
