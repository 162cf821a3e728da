import { AwlError } from '../../errors.js';
import { COMMANDS, type Flag, GLOBAL_FLAGS, GROUPS, type Words } from './word-table.js';

export interface Parsed {
  readonly words: readonly string[];
  readonly flags: ReadonlyMap<string, string>;
}

const GROUP_ALIASES: Readonly<Record<string, string>> = { t: 'transport', tp: 'teleportation' };
function usage(message: string, hint?: string): AwlError {
  return new AwlError('USAGE_BAD_VALUE', message, hint === undefined ? {} : { hint });
}

/** The command that the first words name, and the words behind it. Undefined for a group or nothing: help is due. */
export function findWords(argv: readonly string[]): { words: Words; rest: readonly string[] } | undefined {
  const [first = '', second = ''] = argv;
  const group = GROUP_ALIASES[first] ?? first;
  const named = (path: string) =>
    COMMANDS.find((one) => one.path === path || one.aliases?.includes(path) === true);
  const two = GROUPS.some((one) => one === group) ? named(`${group} ${second}`) : undefined;
  if (two) return { words: two, rest: argv.slice(2) };
  const one = named(first);
  if (one) return { words: one, rest: argv.slice(1) };
  if (GROUPS.some((name) => name === group) && (second === '' || second.startsWith('-'))) return undefined;
  if (first === '' || first === 'help' || first.startsWith('-')) return undefined;
  const typed = GROUPS.some((name) => name === group) ? second : first;
  throw new AwlError(
    'USAGE_UNKNOWN_COMMAND',
    `unknown command ${JSON.stringify(typed.slice(0, 60))} for "meepo"`,
    {
      hint: "Run 'awl meepo --help' for usage.",
    },
  );
}

/**
 * Takes flags and words apart as Go programs do: `-n x`, `-nx`, `-n=x`, `--name x`, `--name=x`; `--` ends the flags.
 * @throws AwlError USAGE_BAD_VALUE in the real one's words
 */
export function parseWords(of: Words, argv: readonly string[]): Parsed {
  const flags = new Map<string, string>();
  const words: string[] = [];
  const known = [...of.flags, ...GLOBAL_FLAGS];
  for (let i = 0; i < argv.length; i++) {
    const token = argv[i] ?? '';
    if (token === '--') {
      words.push(...argv.slice(i + 1));
      break;
    }
    if (token === '-' || !token.startsWith('-')) {
      words.push(token);
      continue;
    }
    const { flag, value } = readFlag(token, known);
    if (value !== undefined) flags.set(flag.name, value);
    else if (flag.type === 'bool') flags.set(flag.name, 'true');
    else {
      const next = argv[++i];
      if (next === undefined) throw usage(`flag needs an argument: ${token.slice(0, 60)}`);
      flags.set(flag.name, next);
    }
    const typed = flags.get(flag.name);
    if (flag.type === 'bool' && typed !== 'true' && typed !== 'false') {
      throw usage(`invalid argument ${JSON.stringify(typed?.slice(0, 40))} for "--${flag.name}" flag`);
    }
  }
  if (of.words !== 'rest' && flags.get('help') !== 'true' && words.length !== of.words) {
    throw usage(`accepts ${of.words} arg(s), received ${words.length}`, `awl meepo ${of.usage}`);
  }
  return { words, flags };
}

function readFlag(token: string, known: readonly Flag[]): { flag: Flag; value?: string } {
  const equals = token.indexOf('=');
  if (token.startsWith('--')) {
    const name = token.slice(2, equals < 0 ? undefined : equals);
    const flag = known.find((one) => one.name === name);
    if (!flag) throw usage(`unknown flag: --${name.slice(0, 60)}`);
    return equals < 0 ? { flag } : { flag, value: token.slice(equals + 1) };
  }
  const short = token.charAt(1);
  const flag = known.find((one) => one.short === short);
  if (!flag) throw usage(`unknown shorthand flag: '${short}' in ${token.slice(0, 60)}`);
  const rest = token.slice(2).replace(/^=/, '');
  return token.length === 2 ? { flag } : { flag, value: rest };
}
