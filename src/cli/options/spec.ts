/**
 * How a value is read: `server` is `[proto://]host[:port]`, `local` an address of this machine with a port,
 * `name` is `owner/pin`, `secret` is never printed.
 */
export type OptionType =
  | 'flag'
  | 'text'
  | 'path'
  | 'secret'
  | 'int'
  | 'seconds'
  | 'server'
  | 'local'
  | 'name'
  | 'choice';

export const GROUPS = {
  who: 'Who connects',
  stun: 'STUN and punching',
  rendezvous: 'Rendezvous',
  email: 'E-mail rendezvous',
  accept: 'Accepting',
  exec: 'What runs on the passage',
  tunnel: 'The built-in tunnel',
  security: 'Security',
  command: 'Options of this command',
  general: 'General',
  past: 'Names of older plexus versions',
} as const;
export type GroupName = keyof typeof GROUPS;

/** One row of the option table; help, man pages, completions, docs, the INI reader and the parser all read it. */
export interface OptionSpec {
  /** Long name without dashes; also the name in the configuration file, and `AWL_NAME` in the environment. */
  readonly name: string;
  /** Older names with the same meaning. */
  readonly aliases?: readonly string[];
  /** A plexus 3.1 name wins when an abbreviation fits others too, so that old scripts keep their meaning. */
  readonly plexus?: true;
  readonly type: OptionType;
  readonly group: GroupName;
  /** Commands that take it; `session` is awl without a command. Empty: all of them. */
  readonly commands: readonly string[];
  readonly placeholder?: string;
  readonly default?: string;
  /** Shown instead of a default that depends on something. */
  readonly defaultText?: string;
  readonly choices?: readonly string[];
  readonly min?: number;
  readonly max?: number;
  /** Port of a server or local address that names none. */
  readonly defaultPort?: number;
  /** May be given several times; `separator` also splits one value. */
  readonly repeatable?: true;
  readonly separator?: RegExp;
  /** An empty value means something: otherwise it is an error. */
  readonly allowEmpty?: true;
  /** Options that cannot be given beside this one, and those without which it means nothing. */
  readonly conflicts?: readonly string[];
  readonly requires?: readonly string[];
  /** plexus' environment variables, and how many of their units make one of ours (1000: they count milliseconds). */
  readonly legacyEnv?: readonly { readonly name: string; readonly scale?: number }[];
  /** One sentence for help. */
  readonly help: string;
  /** More for the man page and docs. */
  readonly details?: string;
  /** In no help text or completion; the man page lists it under the names of older versions. */
  readonly hidden?: true;
  /** Taken for old command lines only: these values mean what awl does, every other one is an error. */
  readonly only?: readonly string[];
  /** What to do instead of an option or value that awl does not have. */
  readonly instead?: string;
  /** Not in the configuration file or environment. */
  readonly commandLineOnly?: true;
}
