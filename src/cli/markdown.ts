import { typedCommands } from './commands.js';
import { COMPLETION_FILES, completionScript, type Shell } from './completion.js';
import { exitStatuses } from './exit-codes.js';
import { optionGroups, optionTerm } from './help.js';
import { manPages } from './man.js';
import { GROUPS } from './options/spec.js';
import { envName, OPTIONS, type Option } from './options.js';
import { WILDCARDS } from './wildcard-help.js';

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function optionRow(option: Option): string[] {
  const shown = option.defaultText ?? option.default ?? '';
  const details = option.details ? ` ${option.details}` : '';
  return [
    `\`${optionTerm(option).replace(' ...', '')}\`${option.repeatable ? ' (repeatable)' : ''}`,
    shown === '' ? '' : cell(option.defaultText ? shown : `\`${shown}\``),
    cell(`${option.help}.${details}`),
    option.commandLineOnly ? '' : `\`${envName(option)}\``,
  ];
}

const HEAD = ['option', 'default', 'meaning', 'variable'];

function sessionTables(): string {
  return optionGroups('session')
    .map(([group, options]) => `### ${GROUPS[group]}\n\n${table(HEAD, options.map(optionRow))}`)
    .join('\n\n');
}

function commandTables(): string {
  const parts = typedCommands().map((command) => {
    const options = optionGroups(command.name)
      .flatMap(([, rows]) => rows)
      .filter((option) => option.commands.length > 0);
    const forms = command.forms.map((form) => `awl ${command.name} ${form}`).join('\n');
    const rows = options.length > 0 ? `\n\n${table(HEAD, options.map(optionRow))}` : '';
    return `### awl ${command.name}\n\n\`\`\`\n${forms}\n\`\`\`\n\n${command.details.join('\n\n')}${rows}`;
  });
  return parts.join('\n\n');
}

function wildcardTable(): string {
  const rows = WILDCARDS.map(([names, meaning]) => [
    names.map((name) => `\`%${name}%\``).join(' '),
    cell(meaning),
  ]);
  return table(['wildcard', 'becomes'], rows);
}

function oldNames(): string {
  const aliases = OPTIONS.flatMap((option) =>
    (option.aliases ?? []).map((alias) => [`\`--${alias}\``, `\`--${option.name}\``]),
  );
  const past = OPTIONS.filter(({ hidden }) => hidden).map((option) => {
    const values = option.only?.map((value) => `\`${value}\``).join(', ');
    const takes = values ? `only ${values}` : option.instead ? 'refused' : 'works';
    const hint = option.instead ? `; ${option.instead}` : '';
    return [`\`--${option.name}\``, cell(`${takes}: ${option.help}${hint}`)];
  });
  return table(['old name', 'in awl'], [...aliases, ...past]);
}

function exitTable(): string {
  const rows = exitStatuses().flatMap(({ status, name, meaning, codes }) => [
    [`**${status}**`, name, cell(meaning)],
    ...codes.map(([code, text]) => ['', `\`${code}\``, cell(text)]),
  ]);
  return table(['status', 'code', 'meaning'], rows);
}

const BLOCKS: Readonly<Record<string, () => string>> = {
  'session-options': sessionTables,
  commands: commandTables,
  wildcards: wildcardTable,
  'old-names': oldNames,
  'exit-codes': exitTable,
};

/** A page with everything between `<!-- made: NAME -->` and `<!-- end -->` made anew. */
export function refreshPage(text: string): string {
  return text.replace(/(<!-- made: ([a-z-]+) -->\n)[\s\S]*?(<!-- end -->)/g, (whole, begin, name, end) => {
    const block = BLOCKS[name];
    return block ? `${begin}\n${block()}\n\n${end}` : whole;
  });
}

/** Pages in docs/ that hold such blocks. */
export const REFRESHED_PAGES = ['docs/CLI.md', 'docs/EXIT-CODES.md', 'docs/FROM-PLEXUS.md'] as const;

/** Files that are made as a whole: path from the project's root, and text. */
export function madeFiles(): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const [file, text] of manPages()) files.set(`man/${file}`, text);
  for (const shell of Object.keys(COMPLETION_FILES) as Shell[]) {
    files.set(`scripts/completions/${COMPLETION_FILES[shell]}`, completionScript(shell));
  }
  return files;
}
