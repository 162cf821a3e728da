import { COMMANDS, type Flag, GLOBAL_FLAGS, GROUPS, type Words } from './word-table.js';

function flagLine({ name, short, type, help, default: standard }: Flag): string {
  const written = `${short ? `-${short}, ` : '    '}--${name}${type === 'text' ? ' string' : ''}`;
  const note = standard === undefined ? '' : ` (default ${JSON.stringify(standard)})`;
  return `  ${written.padEnd(28)} ${help}${note}`;
}

/** Help of one command, laid out as the real one's. */
export function commandHelp(of: Words): string {
  const aliases = of.aliases?.map((one) => one.split(' ').at(-1)).join(', ');
  const name = of.path.split(' ').at(-1);
  return [
    of.summary,
    '',
    'Usage:',
    `  awl meepo ${of.usage} [flags]`,
    '',
    ...(aliases ? ['Aliases:', `  ${name}, ${aliases}`, ''] : []),
    ...(of.flags.length > 0 ? ['Flags:', ...of.flags.map(flagLine), ''] : []),
    'Global Flags:',
    ...GLOBAL_FLAGS.map(flagLine),
    '',
  ].join('\n');
}

/** Help of `awl meepo`, or of one of its groups. */
export function overview(group?: string): string {
  const prefix = GROUPS.find((one) => one === group);
  const shown = COMMANDS.filter(({ path }) => (prefix ? path.startsWith(`${prefix} `) : true));
  return [
    'Usage:',
    `  awl meepo ${prefix ? `${prefix} ` : ''}[command]`,
    '',
    'Available Commands:',
    ...shown.map(({ path, summary }) => `  ${path.padEnd(20)} ${summary}`),
    '',
    'Flags:',
    ...GLOBAL_FLAGS.map(flagLine),
    '',
    'Use "awl meepo [command] --help" for more information about a command.',
    '',
  ].join('\n');
}
