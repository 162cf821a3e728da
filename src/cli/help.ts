import type { CommandSpec } from './command.js';
import { typedCommands } from './commands.js';
import { GROUPS, type GroupName } from './options/spec.js';
import { type Option, optionsOf } from './options.js';
import { definition, wrap } from './wrap.js';

const MIN_COLUMNS = 80;
const MAX_COLUMNS = 100;
const TERM_COLUMN = 32;

/** `--stun-server=HOST[:PORT]`, with dots if it may be repeated. */
export function optionTerm(option: Option): string {
  const value = option.type === 'flag' ? '' : `=${option.placeholder ?? 'VALUE'}`;
  return `--${option.name}${value}${option.repeatable ? ' ...' : ''}`;
}

/** `(default: 7)` where there is one to tell. */
export function defaultNote(option: Option): string {
  const shown = option.defaultText ?? option.default;
  return shown === undefined || shown === '' || shown === '/' ? '' : ` (default: ${shown})`;
}

/** Visible options of a command by group, in the order of the table; empty groups are left out. */
export function optionGroups(command: string): readonly (readonly [group: GroupName, options: Option[]])[] {
  const visible = optionsOf(command).filter((option) => !option.hidden);
  return (Object.keys(GROUPS) as GroupName[])
    .map((group) => [group, visible.filter((option) => option.group === group)] as const)
    .filter(([, options]) => options.length > 0);
}

/** `awl id init ...`, one entry a form. */
export function usageLines(command: CommandSpec): string[] {
  const start = command.name === 'session' ? 'awl' : `awl ${command.name}`;
  return command.forms.map((form) => `${start} ${form}`);
}

/** What `awl --help` and `awl COMMAND --help` print, for a terminal of that many columns. */
export function helpText(command: CommandSpec, columns: number): string {
  const width = Math.min(MAX_COLUMNS, Math.max(MIN_COLUMNS, columns)) - 1;
  const usage = usageLines(command).map((line, i) => `${i === 0 ? 'Usage: ' : '       '}${line}`);
  const parts = [
    `${usage.join('\n')}\n`,
    ...[sentence(command.summary), ...command.details].map(paragraph(width)),
  ];
  if (command.name === 'session') {
    const rows = typedCommands().map(({ name, summary }) => definition(name, summary, 16, width));
    parts.push(`Commands (awl COMMAND --help tells more):\n${rows.join('')}`);
  }
  for (const [group, options] of optionGroups(command.name)) {
    const rows = options.map((option) =>
      definition(optionTerm(option), `${option.help}${defaultNote(option)}`, TERM_COLUMN, width),
    );
    parts.push(`${GROUPS[group]}:\n${rows.join('')}`);
  }
  if (command.examples) {
    const rows = command.examples.map(
      ([line, meaning]) =>
        `  # ${meaning}\n${wrap(line, width - 8)
          .map(continued)
          .join('')}`,
    );
    parts.push(`Examples:\n${rows.join('')}`);
  }
  if (command.name === 'session') {
    parts.push(paragraph(width)('Manual: man awl. Exit statuses and wildcards stand there, too.'));
  }
  return parts.join('\n');
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function paragraph(width: number) {
  return (text: string) => `${wrap(text, width).join('\n')}\n`;
}

/** Wrapped command lines end with a backslash, so that they can be copied. */
function continued(line: string, index: number, all: readonly string[]): string {
  return `  ${index > 0 ? '    ' : ''}${line}${index < all.length - 1 ? ' \\' : ''}\n`;
}
