import { dirname as folderOf, resolve } from 'node:path';
import { AwlError } from '../errors.js';
import { readConfig } from './config.js';
import { checkValue } from './convert.js';
import { appName } from './generation.js';
import { oneLine } from './io.js';
import { mergeLevels } from './merge.js';
import { envName, findOption, OPTIONS, type OptionName, optionNamed } from './options.js';
import { type ParsedLine, parseLine } from './parse.js';
import type { ServicePlace } from './service.js';
import type { ServiceKind, ServiceSpec } from './service-text.js';
import { describeSource } from './source.js';
import type { OptionValues } from './values.js';

/** A service as it was asked for. */
export interface ServiceCommand {
  /** Arguments of awl itself. */
  readonly args: readonly string[];
  readonly name?: string;
  readonly user?: string;
  /** Nothing is said unless something is wrong: cron mails what it hears. */
  readonly quiet?: boolean;
}

export interface PlannedService {
  readonly spec: ServiceSpec & { readonly accepts: boolean };
  /** For standard error, one line each. */
  readonly warnings: readonly string[];
}

/** Commands that run for ever. */
const KINDS: Readonly<Record<string, ServiceKind>> = {
  session: 'session',
  serve: 'session',
  'stun-server': 'server',
  'dht-node': 'server',
  hub: 'server',
};

/** What these options name is written to; wildcards in it count up to the folder before them. */
const WRITTEN_FILES: readonly OptionName[] = ['exec-log', 'log-file'];
const WRITTEN_FOLDERS: readonly OptionName[] = ['exec-pwd', 'state-dir', 'file-dir'];

const UNIT_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,199}$/;
const USER_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$/;

/**
 * What the service of an awl command line needs. Names and values of its options are checked, so that a mistake shows
 * now and not in a journal.
 * @throws AwlError USAGE_*, CONFIG_*; USAGE_BAD_VALUE for a password in the line
 */
export function serviceSpec(
  wanted: ServiceCommand,
  env: Readonly<Record<string, string | undefined>>,
  place: ServicePlace,
): PlannedService {
  const line = checkedLine(wanted.args);
  const kind = KINDS[line.command];
  if (!kind || line.assignments.some(({ name }) => name === 'help' || name === 'version')) {
    throw new AwlError(
      'USAGE_BAD_VALUE',
      `awl ${KINDS[line.command] ? '--help' : oneLine(line.command).slice(0, 64)} is nothing that runs for ever`,
      {
        hint: 'put a session (awl --accept ...), serve, hub, dht-node or stun-server behind --',
      },
    );
  }
  const { values, parts, warnings } = readAll(line, place);
  const server = kind === 'server';
  const paths = parts.map((part) => pathsOf(part, place));
  const all = [...paths.flatMap((one) => one.all), ...line.operands.map((text) => placed(text, place))];
  const files = [...place.program, ...all.map(({ path }) => path)];
  const relative = all.some((one) => one.relative);
  // A session's repository is the current folder unless it is named, and its program's folder, too.
  const folder = !server || relative ? place.cwd : undefined;
  if (folder !== undefined) files.push(folder);
  const app = line.command !== 'session' ? line.command : (appName(values) ?? 'session');
  const spec: PlannedService['spec'] = {
    name: unitName(wanted.name, app),
    kind,
    scope: place.root ? 'system' : 'user',
    description: describe(line.command, values),
    command: [...place.program, ...(wanted.quiet ? quietened(values) : []), ...withoutOwnName(wanted.args)],
    ...(folder !== undefined && { folder }),
    ...accountOf(wanted.user, place),
    writable: [...new Set(paths.flatMap(({ writable }) => writable))],
    usesHome: files.some((path) => isBelow(path, ['/home', '/root', '/run/user'])),
    usesTmp: files.some((path) => isBelow(path, ['/tmp', '/var/tmp'])),
    // Of the servers only a hub keeps something there: the socket that awl status asks.
    ownState:
      (!server || line.command === 'hub') && parts.some((part) => part.text('state-dir') === undefined),
    detaches: parts.some((part) => part.flag('exec-detach')),
    accepts: line.command === 'serve' || values.flag('accept'),
  };
  const lost = Object.keys(env).filter((name) =>
    OPTIONS.some((option) => !option.commandLineOnly && envName(option) === name),
  );
  const unheard = lost.map(
    (name) => `${name} is set here, but the service will not have it: use an option or --config`,
  );
  return { spec, warnings: [...warnings, ...unheard] };
}

function checkedLine(typed: readonly string[]): ParsedLine {
  const args = withoutOwnName(typed);
  if (args.length === 0) {
    throw new AwlError('USAGE_MISSING', 'awl service needs the command line that is to run', {
      hint: 'write it behind --, for example: awl service print -- --accept --config=awl.ini',
    });
  }
  const line = parseLine(args);
  const [stray] = line.operands;
  if (stray !== undefined && KINDS[line.command] && line.command !== 'serve') {
    throw new AwlError(
      'USAGE_UNKNOWN_COMMAND',
      `"${oneLine(stray).slice(0, 64)}" is neither an option nor a value`,
      {
        hint: 'put a value with blanks in quotes: --exec-args="one two"',
      },
    );
  }
  const secret = line.assignments.find(({ name }) => findOption(name)?.type === 'secret');
  if (secret) {
    throw new AwlError(
      'USAGE_BAD_VALUE',
      `${describeSource(secret.source)} would show the password to everybody`,
      {
        hint: 'put it into a file that only its owner may read (chmod 600), and name that with --email-password-file',
      },
    );
  }
  return line;
}

/** `awl` itself may be written behind `--`, too. */
function withoutOwnName(args: readonly string[]): readonly string[] {
  return args[0] === 'awl' ? args.slice(1) : args;
}

function readAll(
  line: ParsedLine,
  place: ServicePlace,
): {
  readonly values: OptionValues;
  /** One for each acceptor of `awl serve`; else the one that there is. */
  readonly parts: readonly OptionValues[];
  readonly warnings: readonly string[];
} {
  const read = (file: string, command: string) =>
    readConfig(file.startsWith('~') ? file : resolve(place.cwd, file), command);
  const named = line.assignments.findLast(({ name }) => name === 'config');
  if (named) checkValue(optionNamed('config'), named.value, named.source);
  const common = named && read(named.value, line.command);
  const values = mergeLevels([line.assignments, common?.assignments ?? []]);
  if (line.command !== 'serve') return { values, parts: [values], warnings: common?.warnings ?? [] };
  const shared = named ? read(named.value, 'session').assignments : [];
  const files = line.operands.map((file) => read(file, 'session'));
  return {
    values,
    parts: [values, ...files.map(({ assignments }) => mergeLevels([assignments, shared]))],
    warnings: [...(common?.warnings ?? []), ...files.flatMap(({ warnings }) => warnings)],
  };
}

/** A path as the shell of `place` means it. */
function placed(text: string, place: ServicePlace, base = place.cwd): Paths['all'][number] {
  const path = resolve(base, text.replace(/^~(?=\/|$)/, place.home));
  return { relative: !/^[~/]/.test(text), path };
}

interface Paths {
  readonly all: readonly { readonly relative: boolean; readonly path: string }[];
  /** Folders. */
  readonly writable: readonly string[];
}

function pathsOf(values: OptionValues, place: ServicePlace): Paths {
  const given = (name: OptionName) => (values.given(name) ? (values.text(name) ?? []) : []);
  const absolute = (text: string, base?: string) => placed(text, place, base).path;
  const all = values
    .writtenOptions()
    .filter((name) => optionNamed(name).type === 'path')
    .flatMap((name) => [given(name)].flat().map((text) => ({ name, text })))
    // A program without a slash is looked for in PATH.
    .filter(({ name, text }) => name !== 'exec-command' || text.includes('/'))
    .map(({ text }) => placed(text, place));
  const work = values.text('exec-pwd');
  const base = work === undefined ? place.cwd : absolute(work);
  const folders = [
    ...WRITTEN_FILES.flatMap(given).map((text) => folderOf(absolute(beforeWildcard(text), base))),
    ...WRITTEN_FOLDERS.flatMap(given).map((text) => {
      const path = absolute(beforeWildcard(text));
      return text.includes('%') ? folderOf(path) : path;
    }),
  ];
  return { all, writable: [...new Set(folders)] };
}

/** The part of a path that is known now; what stands in for the rest belongs to the same folder. */
function beforeWildcard(text: string): string {
  const [known = ''] = text.split('%', 1);
  return known === text ? text : `${known}x`;
}

function isBelow(path: string, folders: readonly string[]): boolean {
  return folders.some((folder) => path === folder || path.startsWith(`${folder}/`));
}

function unitName(typed: string | undefined, app: string): string {
  const name = typed?.replace(/\.service$/, '') ?? `awl-${app.replace(/[^A-Za-z0-9_.-]+/g, '-')}`;
  if (UNIT_NAME.test(name)) return name;
  throw new AwlError('USAGE_BAD_VALUE', `--name is "${oneLine(name).slice(0, 64)}"`, {
    hint: 'use letters, digits, "-", "_" and ".", beginning with a letter or digit',
  });
}

function accountOf(user: string | undefined, place: ServicePlace): { readonly user?: string } {
  if (user === undefined) return {};
  if (!place.root) {
    throw new AwlError('USAGE_BAD_VALUE', `--user=${oneLine(user).slice(0, 64)} needs root`, {
      hint: 'leave it out: the service is yours, or call it with sudo',
    });
  }
  if (USER_NAME.test(user)) return { user };
  throw new AwlError('USAGE_BAD_VALUE', `--user is "${oneLine(user).slice(0, 64)}"`, {
    hint: 'name an account of this machine',
  });
}

/** Once a minute "another one is running already" would be mailed. */
function quietened(values: OptionValues): string[] {
  return values.given('log-level') || values.given('log-file') ? [] : ['--log-level=warning'];
}

function describe(command: string, values: OptionValues): string {
  if (command !== 'session') return `awl ${command}`;
  const [app, host, peer] = [
    appName(values) ?? 'a session',
    values.text('host-info'),
    values.text('peer-info'),
  ];
  const as = host && host !== '/' ? ` as ${host}` : '';
  const who = peer && peer !== '/' ? ` ${values.flag('accept') ? 'from' : 'to'} ${peer}` : '';
  return `awl: ${values.flag('accept') ? 'accept' : 'connect'} ${app}${as}${who}`;
}
