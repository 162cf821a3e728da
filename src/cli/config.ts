import { basename } from 'node:path';
import { AwlError } from '../errors.js';
import { readInputFile } from './input-file.js';
import { oneLine } from './io.js';
import { nearest } from './nearest.js';
import { belongsTo, findOption, optionsOf } from './options.js';
import type { Assignment } from './source.js';

/** Far above any real configuration. */
const CONFIG_MAX_BYTES = 256 * 1024;

export interface ConfigFile {
  readonly assignments: readonly Assignment[];
  /** Things that work but deserve a word. */
  readonly warnings: readonly string[];
}

function syntax(file: string, line: number, problem: string, hint: string): AwlError {
  return new AwlError('CONFIG_SYNTAX', `${file}:${line}: ${problem}`, { hint });
}

interface Line {
  readonly number: number;
  readonly text: string;
}

/** Lines without comments and blanks around; `\#` is the character itself. */
function* significantLines(text: string, file: string, warnings: string[]): Generator<Line> {
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const mark = /(?<!\\)#/.exec(raw);
    const kept = mark ? raw.slice(0, mark.index) : raw;
    if (mark && /\S/.test(kept.at(-1) ?? ' ')) {
      warnings.push(
        `${file}:${index + 1}: everything from # on is a comment; write \\# for the character itself`,
      );
    }
    const line = kept.replaceAll('\\#', '#').trim();
    if (line !== '') yield { number: index + 1, text: line };
  }
}

/**
 * Reads INI text as plexus does (spec a.1): `name=value` lines, `#` comments, and a `[section]` line that puts
 * `section.` before the names after it (which makes them unknown). Pure.
 * @param file how messages call the file
 * @throws AwlError CONFIG_SYNTAX, CONFIG_UNKNOWN_NAME with the line's number
 */
export function parseConfig(text: string, file: string, command = 'session'): ConfigFile {
  const assignments: Assignment[] = [];
  const warnings: string[] = [];
  let section = '';
  const plain = text.startsWith('\uFEFF') ? text.slice(1) : text;
  for (const line of significantLines(plain, file, warnings)) {
    const head = /^\[(.*)\]$/.exec(line.text);
    if (head) {
      section = `${head[1]?.trim()}.`;
      continue;
    }
    const equals = line.text.indexOf('=');
    if (equals <= 0) {
      throw syntax(file, line.number, 'is not name=value', 'write one name=value a line, # before a comment');
    }
    const name = section + line.text.slice(0, equals).trim();
    const value = line.text.slice(equals + 1).trim();
    checkName(name, section, file, line.number, command);
    const option = findOption(name);
    // One file may serve several commands: what this one does not take is left alone.
    if (!option || !belongsTo(option, command)) continue;
    assignments.push({
      name: option.name,
      value,
      source: { kind: 'config', as: name, file, line: line.number },
    });
  }
  return { assignments, warnings };
}

function checkName(name: string, section: string, file: string, line: number, command: string): void {
  const option = findOption(name);
  if (option && !option.commandLineOnly && option.name !== 'config') return;
  const shown = oneLine(name).slice(0, 64);
  if (option) {
    throw syntax(file, line, `${shown} works on the command line only`, 'remove the line');
  }
  const near =
    section === ''
      ? nearest(
          name,
          optionsOf(command).map((row) => row.name),
        )
      : undefined;
  const hint = section
    ? `the line [${oneLine(section.slice(0, -1)).slice(0, 64)}] puts its name before those below it; remove it`
    : near
      ? `did you mean ${near}?`
      : 'names are those of the long options, without dashes; see awl.ini(5)';
  throw new AwlError('CONFIG_UNKNOWN_NAME', `${file}:${line}: there is no option "${shown}"`, { hint });
}

/**
 * Reads and parses the file; warns where others can read a password in it.
 * @throws AwlError CONFIG_UNREADABLE, CONFIG_SYNTAX, CONFIG_UNKNOWN_NAME
 */
export function readConfig(path: string, command: string): ConfigFile {
  const { text, exposed } = readInputFile(path, 'the configuration', CONFIG_MAX_BYTES);
  const config = parseConfig(text, oneLine(basename(path)), command);
  const hasPassword = config.assignments.some(({ name }) => findOption(name)?.type === 'secret');
  if (!hasPassword || !exposed) return config;
  const warning = `others may read ${oneLine(path)}, which holds a password; chmod 600 it`;
  return { assignments: config.assignments, warnings: [...config.warnings, warning] };
}
