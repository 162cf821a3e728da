import { AwlError } from '../errors.js';
import { oneLine } from './io.js';
import { nearest } from './nearest.js';
import { belongsTo, findOption, type Option, optionsOf } from './options.js';
import type { Assignment } from './source.js';

/** A command line taken apart; nothing is checked against its row yet. */
export interface ParsedLine {
  /** `session` where no command is named. */
  readonly command: string;
  readonly operands: readonly string[];
  readonly assignments: readonly Assignment[];
}

/** Long names of a command's options as they may be written. */
function spellings(option: Option): string[] {
  return [option.name, ...(option.aliases ?? [])];
}

function unknown(written: string, command: string): AwlError {
  const names = optionsOf(command)
    .filter((option) => !option.hidden)
    .flatMap(spellings);
  const near = nearest(written, names);
  const other = findOption(written);
  const where = command === 'session' ? 'awl' : `awl ${command}`;
  const hint = near
    ? `did you mean --${near}?`
    : `${where} --help lists the options${other?.commands[0] === 'session' ? '; that one belongs to awl without a command' : ''}`;
  return new AwlError('USAGE_UNKNOWN_OPTION', `${where} has no option --${oneLine(written).slice(0, 64)}`, {
    hint,
  });
}

/**
 * The option that `written` means: its name or an alias, or the beginning of exactly one. Where several fit, a
 * single plexus 3.1 name among them wins, so that an abbreviation in an old script keeps its meaning.
 */
function resolve(written: string, command: string): { option: Option; as: string } {
  const exact = findOption(written);
  if (exact && belongsTo(exact, command)) return { option: exact, as: written };
  if (written === '') throw unknown(written, command);
  const fits = optionsOf(command)
    .filter((option) => !option.hidden || option.plexus)
    .flatMap((option) => spellings(option).map((as) => ({ option, as })))
    .filter(({ as }) => as.startsWith(written));
  const options = new Set(fits.map(({ option }) => option));
  const old = fits.filter(({ option, as }) => option.plexus && as === option.name);
  const chosen = options.size === 1 ? fits[0] : old.length === 1 ? old[0] : undefined;
  if (chosen) return chosen;
  if (fits.length === 0) throw unknown(written, command);
  throw new AwlError('USAGE_UNKNOWN_OPTION', `--${oneLine(written)} may be one of several options`, {
    hint: `write one of ${fits.map(({ as }) => `--${as}`).join(', ')}`,
  });
}

function looksLikeOption(token: string, command: string): boolean {
  const option = token.startsWith('--') ? findOption(token.slice(2).split('=', 1)[0] ?? '') : undefined;
  return option !== undefined && belongsTo(option, command);
}

/**
 * Takes a command line apart as plexus does: `--name=value`, `--name value`, switches, abbreviations; `--` ends the
 * options. The first word is the command if it is no option.
 * @throws AwlError USAGE_UNKNOWN_OPTION, USAGE_MISSING
 */
export function parseLine(argv: readonly string[]): ParsedLine {
  const named = argv[0] !== undefined && !argv[0].startsWith('-');
  const command = named ? (argv[0] ?? '') : 'session';
  const operands: string[] = [];
  const assignments: Assignment[] = [];
  const tokens = argv.slice(named ? 1 : 0);
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i] ?? '';
    if (token === '--') {
      operands.push(...tokens.slice(i + 1));
      break;
    }
    if (token === '-' || !token.startsWith('-')) {
      operands.push(token);
      continue;
    }
    const long = token === '-h' ? '--help' : token === '-V' ? '--version' : token;
    if (!long.startsWith('--')) throw unknownShort(long);
    const equals = long.indexOf('=');
    const written = equals < 0 ? long.slice(2) : long.slice(2, equals);
    const { option, as } = resolve(written, command);
    const source = { kind: 'argv', as } as const;
    if (equals >= 0) {
      assignments.push({ name: option.name, value: long.slice(equals + 1), source });
    } else if (option.type === 'flag') {
      assignments.push({ name: option.name, value: 'true', source });
    } else {
      const value = tokens[++i];
      if (value === undefined || looksLikeOption(value, command)) throw valueMissing(option, as);
      assignments.push({ name: option.name, value, source });
    }
  }
  return { command, operands, assignments };
}

function unknownShort(token: string): AwlError {
  return new AwlError('USAGE_UNKNOWN_OPTION', `awl has no option ${oneLine(token).slice(0, 64)}`, {
    hint: 'options begin with two dashes; awl --help lists them',
  });
}

function valueMissing(option: Option, as: string): AwlError {
  return new AwlError('USAGE_MISSING', `--${as} has no value`, {
    hint: `write --${as}=${option.placeholder ?? 'VALUE'}`,
  });
}
