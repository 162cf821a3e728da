import { AwlError } from '../errors.js';
import { oneLine } from './io.js';

/** What runs: a session with programs of the user's own, or a server of awl's that needs nothing of the machine. */
export type ServiceKind = 'session' | 'server';

/** Everything that the text of a service is made from. */
export interface ServiceSpec {
  /** Name of the unit, without `.service`. */
  readonly name: string;
  readonly kind: ServiceKind;
  /** `system`: of the machine; `user`: of one login. */
  readonly scope: 'system' | 'user';
  readonly description: string;
  /** Absolute path of the interpreter, then its arguments. */
  readonly command: readonly [program: string, ...args: string[]];
  /** Where relative paths of the command begin; absent: there are none. */
  readonly folder?: string;
  /** Account of a `system` service; absent: root, or for a server an account of its own. */
  readonly user?: string;
  /** Folders that the command line names for writing. */
  readonly writable: readonly string[];
  /** Files that must be readable lie below /home or /root. */
  readonly usesHome: boolean;
  /** Paths lie below /tmp or /var/tmp, so that they must be the common ones. */
  readonly usesTmp: boolean;
  /** It has a state folder, which is the unit's own, unless the command line names one. */
  readonly ownState: boolean;
  /** Programs outlive awl (`--exec-detach`). */
  readonly detaches: boolean;
}

/** Debian's cron cuts commands off here. */
const CRON_COMMAND_MAX = 998;

/** What a unit file cannot hold in a path: control characters, and ends that would join the next line or vanish. */
const NO_PATH = /\p{Cc}|[\\\s]$/u;

const PLAIN_WORD = /^[A-Za-z0-9_@+=:,./-]+$/;

function unusable(text: string, place: string): AwlError {
  return new AwlError('USAGE_BAD_VALUE', `"${oneLine(text).slice(0, 128)}" cannot stand in ${place}`, {
    hint: 'put the options into a file and name that with --config',
  });
}

const ESCAPES: Readonly<Record<string, string>> = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\t': '\\t' };

/**
 * One word of `ExecStart=`: quotes and C escapes are taken away first, then specifiers (`%`), then variables (`$`)
 * are replaced (systemd.service(5), COMMAND LINES; systemd.syntax(7)).
 */
export function systemdWord(text: string): string {
  const doubled = text.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(doubled) ? doubled : quoted(doubled);
}

function quoted(text: string): string {
  const escaped = text.replace(
    /["\\]|\p{Cc}/gu,
    (c) =>
      ESCAPES[c] ?? [...Buffer.from(c)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join(''),
  );
  return `"${escaped}"`;
}

/** Like {@link systemdWord}, but nothing replaces variables in the program's path. */
function systemdProgram(path: string): string {
  const doubled = path.replaceAll('%', '%%');
  return PLAIN_WORD.test(path) ? doubled : quoted(doubled);
}

/** A path that is the whole value: only specifiers are replaced. */
function systemdPath(path: string): string {
  if (NO_PATH.test(path)) throw unusable(path, 'a unit file');
  return path.replaceAll('%', '%%');
}

/** A path in a list of paths: quotes are taken away, too. */
function systemdListed(path: string): string {
  const whole = systemdPath(path);
  return PLAIN_WORD.test(path) ? whole : `"${whole.replace(/["\\]/g, (c) => `\\${c}`)}"`;
}

/** Whatever is not plain would be read as something else, and a description needs it least. */
function plainText(text: string): string {
  return text.replace(/[^\x20-\x7e]|\\/g, '?').replaceAll('%', '%%');
}

type Line = readonly [key: string, value: string | number] | readonly [comment: string];

function section(title: string, lines: readonly (Line | false)[]): string {
  const written = lines.flatMap((line) =>
    line ? [line.length === 1 ? `# ${line[0]}` : line.join('=')] : [],
  );
  return `[${title}]\n${written.join('\n')}\n`;
}

/**
 * A unit file for systemd 247 or newer.
 * @throws AwlError USAGE_BAD_VALUE if a path cannot be written in one
 */
export function systemdUnit(spec: ServiceSpec): string {
  const system = spec.scope === 'system';
  const [program, ...args] = spec.command;
  const unit = section('Unit', [
    ['Description', plainText(spec.description)],
    ['Documentation', 'man:awl(1) man:awl-service(1)'],
    system && ['Wants', 'network-online.target'],
    system && ['After', 'network-online.target'],
    ['StartLimitIntervalSec', 0],
  ]);
  const service = section('Service', [
    ['Type', 'exec'],
    ['ExecStart', [systemdProgram(program), ...args.map(systemdWord)].join(' ')],
    spec.folder !== undefined && ['WorkingDirectory', systemdPath(spec.folder)],
    system && spec.user !== undefined && ['User', spec.user],
    ['Restart', 'always'],
    ['RestartSec', 5],
    ['SuccessExitStatus', '130 143'],
    ['awl ends its programs itself: first gently, after 5 s not so'],
    ['KillMode', spec.detaches ? 'process' : 'mixed'],
    ['TimeoutStopSec', 15],
    ...(system ? systemFence(spec) : USER_FENCE),
  ]);
  const install = section('Install', [['WantedBy', system ? 'multi-user.target' : 'default.target']]);
  return [unit, service, install].join('\n');
}

/** What needs no namespaces: an unprivileged manager cannot make them everywhere, and the unit must start. */
const USER_FENCE: readonly Line[] = [
  ['No set-user-id programs, so no sudo; leave this out if a program of yours needs it'],
  ['NoNewPrivileges', 'yes'],
  ['LockPersonality', 'yes'],
  ['RestrictRealtime', 'yes'],
  ['RestrictSUIDSGID', 'yes'],
  ['SystemCallArchitectures', 'native'],
];

function systemFence(spec: ServiceSpec): readonly (Line | false)[] {
  const { kind, usesHome, usesTmp, ownState, writable, name } = spec;
  const server = kind === 'server';
  // A made-up account reads only what everybody may, and owns nothing.
  const dynamic = server && spec.user === undefined && !usesHome && writable.length === 0;
  // VPN programs keep sockets and process ids in /run.
  const paths = server ? writable : ['/run', ...writable];
  return [
    dynamic && ['DynamicUser', 'yes'],
    ['The file system is read-only but for the paths below; programs that write elsewhere need more of them'],
    ['ProtectSystem', 'strict'],
    ['ProtectHome', server && !usesHome ? 'yes' : 'read-only'],
    ['PrivateTmp', usesTmp ? 'no' : 'yes'],
    ownState && ['StateDirectory', name],
    ownState && ['StateDirectoryMode', '0700'],
    ownState && ['Environment', `AWL_STATE_DIR=/var/lib/${name}`],
    paths.length > 0 && ['ReadWritePaths', paths.map(optionalPath).join(' ')],
    ['NoNewPrivileges', 'yes'],
    ['ProtectKernelModules', 'yes'],
    ['ProtectKernelLogs', 'yes'],
    ['ProtectControlGroups', 'yes'],
    ['ProtectClock', 'yes'],
    ['ProtectHostname', 'yes'],
    ['RestrictRealtime', 'yes'],
    ['RestrictSUIDSGID', 'yes'],
    ['LockPersonality', 'yes'],
    ['SystemCallArchitectures', 'native'],
    ['RestrictAddressFamilies', 'AF_UNIX AF_INET AF_INET6 AF_NETLINK'],
    ...(server ? SERVER_FENCE : SESSION_FENCE),
  ];
}

/** A server of awl's starts no program and opens no device. */
const SERVER_FENCE: readonly Line[] = [
  ['ProtectKernelTunables', 'yes'],
  ['PrivateDevices', 'yes'],
  ['ProtectProc', 'invisible'],
  ['RestrictNamespaces', 'yes'],
  ['SystemCallFilter', '@system-service'],
  ['SystemCallErrorNumber', 'EPERM'],
  ['UMask', '0077'],
  ['CapabilityBoundingSet', 'CAP_NET_BIND_SERVICE'],
  ['AmbientCapabilities', 'CAP_NET_BIND_SERVICE'],
];

const SESSION_FENCE: readonly Line[] = [
  ['Programs keep what VPNs need: /dev/net/tun, /proc/sys and, as root, CAP_NET_ADMIN'],
  [
    'CapabilityBoundingSet',
    '~CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_MODULE CAP_SYS_PTRACE CAP_SYS_RAWIO CAP_SYS_TIME CAP_SYSLOG ' +
      'CAP_AUDIT_CONTROL CAP_MAC_ADMIN CAP_MAC_OVERRIDE',
  ],
];

/** `-`: a folder that is not there yet is passed over instead of keeping the unit from starting. */
function optionalPath(path: string): string {
  const listed = systemdListed(path);
  return listed.startsWith('"') ? `"-${listed.slice(1)}` : `-${listed}`;
}

/** One word for /bin/sh. */
export function shellWord(text: string): string {
  return PLAIN_WORD.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/**
 * cron ends a command at `%` unless a backslash stands before it, which it then takes away, whatever quotes there
 * are (crontab(5)). Two backslashes are a pair to it, so one that belongs to the text is parted from it.
 */
export function cronEscape(command: string): string {
  return command.replace(/(\\?)%/g, (_, slash: string) => (slash ? "\\''\\%" : '\\%'));
}

/**
 * A crontab line that starts the command each minute; a second acceptor ends at once.
 * @throws AwlError USAGE_BAD_VALUE for line breaks, and where it is too long for cron
 */
export function cronLine({ command, folder }: Pick<ServiceSpec, 'command' | 'folder'>): string {
  const words = [...(folder === undefined ? [] : ['cd', folder]), ...command];
  const broken = words.find((word) => /[\n\r]/.test(word));
  if (broken !== undefined) throw unusable(broken, 'a crontab');
  const change = folder === undefined ? '' : `cd ${shellWord(folder)} && `;
  const text = cronEscape(`${change}exec ${command.map(shellWord).join(' ')}`);
  if (Buffer.byteLength(text) > CRON_COMMAND_MAX) {
    throw new AwlError(
      'USAGE_BAD_VALUE',
      `the command is longer than cron reads: ${CRON_COMMAND_MAX} bytes`,
      {
        hint: 'put the options into a file and name that with --config',
      },
    );
  }
  return `* * * * * ${text}\n`;
}
