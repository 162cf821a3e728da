import { AwlError } from '../errors.js';
import type { CommandContext, CommandSpec } from './command.js';
import { findCommand, typedCommands } from './commands.js';
import { exitStatuses } from './exit-codes.js';
import { defaultNote, optionGroups, optionTerm, usageLines } from './help.js';
import { oneLine } from './io.js';
import { configPage } from './man-config.js';
import { GROUPS } from './options/spec.js';
import { envName, OPTIONS, type Option } from './options.js';
import { ManPage } from './roff.js';
import { PAYLOAD_VARIABLES, PLEXUS_VARIABLES, WILDCARDS } from './wildcard-help.js';

/** Every man page: file name and text. */
export function manPages(): ReadonlyMap<string, string> {
  const pages = new Map([['awl.1', sessionPage()]]);
  for (const command of typedCommands().filter(({ name }) => name !== 'completion')) {
    pages.set(`awl-${command.name}.1`, commandPage(command));
  }
  return pages.set('awl.ini.5', configPage());
}

/** `awl man [PAGE]`. */
export async function runMan({ operands, io }: CommandContext): Promise<number> {
  const wanted = operands[0] ?? 'awl';
  for (const [file, text] of manPages()) {
    if (file !== wanted && file.slice(0, file.lastIndexOf('.')) !== wanted) continue;
    io.stdout(text);
    return 0;
  }
  throw new AwlError('USAGE_BAD_VALUE', `there is no man page "${oneLine(wanted).slice(0, 64)}"`, {
    hint: `choose one of ${[...manPages().keys()].map((file) => file.slice(0, file.lastIndexOf('.'))).join(', ')}`,
  });
}

/** Help, details, default, older names and environment variable of one option. */
function describe(option: Option): string[] {
  const help = `${option.help.charAt(0).toUpperCase()}${option.help.slice(1)}${defaultNote(option)}.`;
  const notes: string[] = [];
  if (option.aliases) notes.push(`Older names: ${option.aliases.map((name) => `--${name}`).join(', ')}.`);
  const excluded = OPTIONS.filter(
    (other) =>
      !other.hidden && (other.conflicts?.includes(option.name) || option.conflicts?.includes(other.name)),
  );
  if (excluded.length > 0) notes.push(`Excludes ${excluded.map(({ name }) => `--${name}`).join(', ')}.`);
  if (option.requires) notes.push(`Needs ${option.requires.map((name) => `--${name}`).join(', ')}.`);
  return [help, ...(option.details ? [option.details] : []), ...(notes.length > 0 ? [notes.join(' ')] : [])];
}

function addOptions(page: ManPage, command: string): void {
  page.section('Options');
  for (const [group, options] of optionGroups(command)) {
    page.subsection(GROUPS[group]);
    for (const option of options) page.entry(optionTerm(option), ...describe(option));
  }
}

function addSynopsis(page: ManPage, command: CommandSpec): void {
  page.section('Synopsis').verbatim(usageLines(command));
  page.section('Description');
  for (const text of command.details) page.paragraph(text);
}

function addExamples(page: ManPage, command: CommandSpec): void {
  if (!command.examples) return;
  page.section('Examples');
  for (const [line, meaning] of command.examples) {
    page.paragraph(`${meaning.charAt(0).toUpperCase()}${meaning.slice(1)}:`).verbatim([line]);
  }
}

function addExitStatus(page: ManPage): void {
  page.section('Exit status');
  page.paragraph(
    'With a program to wait for, its own exit status is passed on, 128 plus the number of a signal that ended it. ' +
      'Otherwise:',
  );
  for (const { status, meaning, codes } of exitStatuses()) {
    page.entry(String(status), `${meaning}.`, ...codes.map(([code, text]) => `${code}: ${text}.`));
  }
}

function sessionPage(): string {
  const command = findCommand('session');
  if (!command) throw new Error('the table of commands has no session');
  const page = new ManPage('awl', 1, command.summary);
  addSynopsis(page, command);
  page.section('Commands');
  for (const { name, summary } of typedCommands()) page.entry(`awl ${name}`, `${summary}.`);
  addOptions(page, 'session');
  page.paragraph(
    'An option may be shortened as long as one option begins like that; where several do, the one that plexus 3.1 ' +
      'had is meant. A value follows "=" or is the next word. The command line wins over the environment, that over ' +
      'the configuration file. Options that exclude each other are an error if both stand in the same of these three.',
  );
  page.section('Wildcards');
  page.paragraph(
    'In --exec-args, --exec-pwd, --exec-log and --exec-env; each is replaced once, after the words were separated:',
  );
  for (const [names, meaning] of WILDCARDS) {
    page.entry(names.map((name) => `%${name}%`).join(' '), `${meaning}.`);
  }
  page.paragraph(`The environment of the program holds ${PAYLOAD_VARIABLES}.`);
  page.section('Environment');
  page.paragraph(
    `Every option but --help and --version has a variable: ${envName({ name: 'stun-server' })} for --stun-server, and ` +
      'so on. A switch is true, yes, on or 1. Of plexus, these count where no option says otherwise:',
  );
  for (const [names, meaning] of PLEXUS_VARIABLES) page.entry(names, `${meaning}.`);
  page.section('Names of older plexus versions').paragraph('Taken so that old command lines work:');
  for (const option of OPTIONS.filter(({ hidden }) => hidden)) {
    page.entry(`--${option.name}`, `${option.help}.`, ...(option.instead ? [`${option.instead}.`] : []));
  }
  page.section('Signals');
  page.paragraph(
    'SIGINT and SIGTERM end awl and its programs in good order; a second one ends it at once. An acceptor that is ' +
      'stopped so exits with 0.',
  );
  addExitStatus(page);
  addExamples(page, command);
  const others = [...typedCommands().filter(({ name }) => name !== 'completion')].map(
    ({ name }) => `awl-${name}(1)`,
  );
  page.section('See also').paragraph(`${[...others, 'awl.ini(5)'].join(', ')}`);
  return page.toString();
}

function commandPage(command: CommandSpec): string {
  const page = new ManPage(`awl-${command.name}`, 1, command.summary);
  addSynopsis(page, command);
  addOptions(page, command.name);
  addExitStatus(page);
  addExamples(page, command);
  return page.section('See also').paragraph('awl(1), awl.ini(5)').toString();
}
