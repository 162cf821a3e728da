import { AwlError, errorText, isAwlError } from '../errors.js';
import type { CommandSpec } from './command.js';
import { COMMANDS, findCommand, typedCommands } from './commands.js';
import { type Io, jsonLine, oneLine } from './io.js';
import { nearest } from './nearest.js';
import { type ParsedLine, parseLine } from './parse.js';

/**
 * One call of awl, from its arguments to its exit status. Never throws; errors become two lines on standard
 * error. Only the parser is imported at once: help must not wait for what a session needs.
 */
export async function run(argv: readonly string[], io: Io, signal: AbortSignal): Promise<number> {
  try {
    return await dispatch(argv, io, signal);
  } catch (error) {
    return report(error, argv, io);
  }
}

async function dispatch(argv: readonly string[], io: Io, signal: AbortSignal): Promise<number> {
  if (argv[0] === 'help') return help(argv.slice(1), io);
  // The command first: whether an option is known depends on it.
  const named = argv[0] !== undefined && !argv[0].startsWith('-');
  if (named) commandOf(argv[0]);
  const line = named && commandOf(argv[0]).raw ? rawLine(argv) : parseLine(argv);
  if (asks(line, 'help')) return help(named ? [line.command] : [], io);
  if (asks(line, 'version')) {
    const { version } = await import('./version.js');
    io.stdout(`awl ${version()}\n`);
    return 0;
  }
  const command = commandOf(named ? line.command : undefined);
  const stray = named ? undefined : line.operands[0];
  if (stray !== undefined) throw strayWord(stray);
  const { prepare } = await import('./prepare.js');
  const context = prepare(line, io, signal);
  const runCommand = await command.load();
  return runCommand(context);
}

function rawLine([command = '', ...operands]: readonly string[]): ParsedLine {
  return { command, operands, assignments: [] };
}

function asks(line: ParsedLine, name: 'help' | 'version'): boolean {
  return line.assignments.some((assignment) => assignment.name === name && assignment.value === 'true');
}

async function help(words: readonly string[], io: Io): Promise<number> {
  const name = words.find((word) => !word.startsWith('-'));
  const { helpText } = await import('./help.js');
  io.stdout(helpText(commandOf(name), io.columns));
  return 0;
}

/** The command as typed, or the session that awl without a command is. */
function commandOf(word: string | undefined): CommandSpec {
  const command = findCommand(word ?? 'session');
  if (command && word !== 'session') return command;
  const typed = word ?? '';
  const near = nearest(
    typed,
    typedCommands().map(({ name }) => name),
  );
  throw new AwlError('USAGE_UNKNOWN_COMMAND', `awl has no command "${oneLine(typed).slice(0, 64)}"`, {
    hint: near ? `did you mean awl ${near}?` : 'awl --help lists the commands',
  });
}

function strayWord(word: string): AwlError {
  const shown = oneLine(word).slice(0, 64);
  if (COMMANDS.some(({ name }) => name === word)) {
    return new AwlError('USAGE_UNKNOWN_COMMAND', `the command "${shown}" stands behind options`, {
      hint: `write it first: awl ${shown} ...`,
    });
  }
  return new AwlError('USAGE_UNKNOWN_COMMAND', `"${shown}" is neither an option nor the value of one`, {
    hint: 'put a value with blanks in quotes: --exec-args="one two"',
  });
}

/** Prints an error as `awl: CODE: message` and its hint, and gives the exit status. */
export function report(error: unknown, argv: readonly string[], io: Io): number {
  const known = isAwlError(error)
    ? error
    : new AwlError('INTERNAL', `unexpected: ${errorText(error)}`, {
        cause: error,
        hint: 'this is a mistake in awl; please report it with the output of the same call and --log-level=trace',
      });
  io.stderr(`awl: ${known.code}: ${oneLine(known.message)}\n`);
  if (known.hint) io.stderr(`  hint: ${oneLine(known.hint)}\n`);
  if (wantsTrace(argv, io)) {
    const { cause } = known;
    io.stderr(`${known.stack ?? ''}\n${cause instanceof Error ? `caused by ${cause.stack}\n` : ''}`);
  }
  if (argv.includes('--json')) {
    const { code, message, hint } = known;
    jsonLine(io, { event: 'failed', code, message, ...(hint && { hint }) });
  }
  return known.exitCode;
}

/** Read from the raw words, since parsing may be what failed. */
function wantsTrace(argv: readonly string[], io: Io): boolean {
  const next = argv[argv.indexOf('--log-level') + 1];
  return argv.includes('--log-level=trace') || next === 'trace' || io.env['AWL_LOG_LEVEL'] === 'trace';
}
