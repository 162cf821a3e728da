import { AwlError, errorText } from '../errors.js';
import { createLogger, LOG_LEVELS, type Logger } from '../log.js';
import type { CommandContext } from './command.js';
import { readConfig } from './config.js';
import { checkValue } from './convert.js';
import { expandHome } from './input-file.js';
import { type Io, oneLine } from './io.js';
import { fromEnvironment, mergeLevels } from './merge.js';
import { optionNamed } from './options.js';
import type { ParsedLine } from './parse.js';
import type { OptionValues } from './values.js';

/**
 * Everything between a parsed line and its command: environment, configuration file, merging, log.
 * @throws AwlError USAGE_*, CONFIG_*, FILE_WRITE
 */
export function prepare(line: ParsedLine, io: Io, signal: AbortSignal): CommandContext {
  const environment = fromEnvironment(io.env, line.command);
  const named =
    line.assignments.findLast(({ name }) => name === 'config') ??
    environment.find(({ name }) => name === 'config');
  if (named) checkValue(optionNamed('config'), named.value, named.source);
  const file = named ? readConfig(named.value, line.command) : { assignments: [], warnings: [] };
  const options = mergeLevels([line.assignments, environment, file.assignments]);
  const log = openLog(options, io);
  for (const warning of file.warnings) warn(io, warning);
  return { options, operands: line.operands, io, log, signal };
}

/** One warning line for the person, whatever the log level. */
export function warn(io: Io, text: string): void {
  io.stderr(`awl: warning: ${oneLine(text)}\n`);
}

function openLog(options: OptionValues, io: Io): Logger {
  const level = LOG_LEVELS.find((one) => one === options.choice('log-level')) ?? 'info';
  const file = options.text('log-file');
  if (file === undefined) return createLogger({ level, ...(io.terminal && { write: io.stderr }) });
  try {
    return createLogger({ level, file: expandHome(file) });
  } catch (error) {
    throw new AwlError('FILE_WRITE', `cannot write --log-file ${oneLine(file)}: ${errorText(error)}`, {
      hint: 'its folder must exist and be writable',
      cause: error,
    });
  }
}
