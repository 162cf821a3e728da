import { AwlError } from '../errors.js';
import type { CommandContext } from './command.js';
import { typedCommands } from './commands.js';
import { oneLine } from './io.js';
import { type Option, optionsOf } from './options.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** File name that each shell looks for. */
export const COMPLETION_FILES: Readonly<Record<Shell, string>> = {
  bash: 'awl.bash',
  zsh: '_awl',
  fish: 'awl.fish',
};

/** `awl completion bash|zsh|fish`. */
export async function runCompletion({ operands, io }: CommandContext): Promise<number> {
  const shell = SHELLS.find((name) => name === operands[0]);
  if (!shell) {
    const problem =
      operands[0] === undefined ? 'no shell is named' : `there is no script for "${oneLine(operands[0])}"`;
    throw new AwlError(operands[0] === undefined ? 'USAGE_MISSING' : 'USAGE_BAD_VALUE', problem, {
      hint: `awl completion ${SHELLS.join('|')}`,
    });
  }
  io.stdout(completionScript(shell));
  return 0;
}

/** The completion script of a shell, made from the option table. */
export function completionScript(shell: Shell): string {
  return { bash, zsh, fish }[shell]();
}

/** Words behind a command that are no options. */
const OPERANDS: Readonly<Record<string, string>> = {
  id: 'init export trust list',
  service: 'print install systemd cron',
  completion: SHELLS.join(' '),
};

function visible(command: string): Option[] {
  return optionsOf(command).filter((option) => !option.hidden);
}

function spelled(option: Option): string {
  return `--${option.name}${option.type === 'flag' ? '' : '='}`;
}

const NOTE = 'Made from the option table by scripts/make-docs.mjs; changes here are lost.';

function everyOption(): Option[] {
  return [...new Set(['session', ...typedCommands().map(({ name }) => name)].flatMap(visible))];
}

function bash(): string {
  const names = typedCommands().map(({ name }) => name);
  const paths = everyOption().filter(({ type }) => type === 'path');
  const cases = names.map((name) => {
    const words = [OPERANDS[name], ...visible(name).map(spelled)].filter(Boolean).join(' ');
    return `    ${name}) words='${words}' ;;`;
  });
  const choices = everyOption()
    .filter((option) => option.choices)
    .map((option) => `    --${option.name}) words='${option.choices?.join(' ')}' ;;`);
  return `# bash completion of awl
# ${NOTE}
_awl() {
  local cur=\${COMP_WORDS[COMP_CWORD]} name= words= command=\${COMP_WORDS[1]}
  COMPREPLY=()
  # With = among the word breaks, "--name=val" arrives as three words.
  if [[ $cur == = ]]; then
    name=\${COMP_WORDS[COMP_CWORD-1]} cur=
  elif [[ \${COMP_WORDS[COMP_CWORD-1]} == = && COMP_CWORD -gt 1 ]]; then
    name=\${COMP_WORDS[COMP_CWORD-2]}
  elif [[ $cur == --*=* ]]; then
    name=\${cur%%=*} cur=\${cur#*=}
  fi
  case $name in
    '') ;;
    ${paths.map(({ name }) => `--${name}`).join('|')})
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      return ;;
${choices.join('\n')}
    *) return ;;
  esac
  if [[ -n $name ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    return
  fi
  case $command in
${cases.join('\n')}
    *)
      words='${visible('session').map(spelled).join(' ')}'
      (( COMP_CWORD == 1 )) && words="${names.join(' ')} help $words" ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
  [[ \${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null
}
complete -F _awl awl
`;
}

/** Text inside single quotes of zsh's _arguments: brackets and colons would end it. */
function zshText(text: string): string {
  return text.replaceAll("'", '’').replace(/[[\]:\\]/g, (c) => `\\${c}`);
}

function zshOption(option: Option): string {
  const help = zshText(option.help);
  if (option.type === 'flag') return `'--${option.name}[${help}]'`;
  const action = option.choices ? `(${option.choices.join(' ')})` : option.type === 'path' ? '_files' : ' ';
  const many = option.repeatable ? '*' : '';
  return `'${many}--${option.name}=[${help}]:${zshText(option.placeholder ?? 'value')}:${action}'`;
}

function zsh(): string {
  const commands = typedCommands();
  const cases = commands.map(({ name }) => {
    const operands = OPERANDS[name] ? `'1:word:(${OPERANDS[name]})' '*:file:_files'` : '';
    const lines = [...visible(name).map(zshOption), operands].filter(Boolean);
    return `    ${name})\n      _arguments ${lines.join(' \\\n        ')} ;;`;
  });
  const described = commands.map(({ name, summary }) => `    '${name}:${zshText(summary)}'`);
  return `#compdef awl
# ${NOTE}
_awl() {
  local -a commands
  commands=(
${described.join('\n')}
    'help:explain a command'
  )
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    _describe command commands
    return
  fi
  local command=$words[2]
  if [[ $command != -* ]]; then
    shift words
    (( CURRENT-- ))
  fi
  case $command in
${cases.join('\n')}
    help)
      _describe command commands ;;
    *)
      _arguments ${visible('session').map(zshOption).join(' \\\n        ')} ;;
  esac
}
_awl "$@"
`;
}

function fishText(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function fishOption(option: Option, condition: string): string {
  const value =
    option.type === 'flag'
      ? ''
      : option.choices
        ? ` -x -a ${fishText(option.choices.join(' '))}`
        : option.type === 'path'
          ? ' -r -F'
          : ' -x';
  return `complete -c awl -n ${fishText(condition)} -l ${option.name}${value} -d ${fishText(option.help)}`;
}

function fish(): string {
  const commands = typedCommands();
  const names = commands.map(({ name }) => name).join(' ');
  const none = `not __fish_seen_subcommand_from ${names} help`;
  const lines = [
    '# fish completion of awl',
    `# ${NOTE}`,
    'complete -c awl -f',
    ...commands.map(
      ({ name, summary }) => `complete -c awl -n __fish_use_subcommand -a ${name} -d ${fishText(summary)}`,
    ),
    "complete -c awl -n __fish_use_subcommand -a help -d 'explain a command'",
    `complete -c awl -n '__fish_seen_subcommand_from help' -a ${fishText(names)}`,
    ...visible('session').map((option) => fishOption(option, none)),
  ];
  for (const { name } of commands) {
    const seen = `__fish_seen_subcommand_from ${name}`;
    if (OPERANDS[name]) lines.push(`complete -c awl -n ${fishText(seen)} -a ${fishText(OPERANDS[name])}`);
    lines.push(...visible(name).map((option) => fishOption(option, seen)));
  }
  return `${lines.join('\n')}\n`;
}
