import { AwlError } from '../errors.js';
import type { AccessSettings } from './access.js';

/** Meepo's configuration as it stands in the file; what is absent has the default of {@link DEFAULT_CONFIG}. */
export interface MeepoConfig {
  identityFile: string;
  daemon: boolean;
  asSignaling: boolean;
  log: { level: string };
  proxy: { socks5: { host: string; port: number } | null } | null;
  auth: { name: string; secret?: string };
  transport: { name: string; iceServers?: string[] };
  signaling: { name: string; url: string } | null;
  api: { name: string; host: string; port: number };
  acl: { allows?: string[] | null; blocks?: string[] | null } | null;
  /** awl's own: secrets go to awl only, never in the form that a real Meepo takes. */
  awlSecretsOnly?: boolean;
  /** awl's own: false to ask no router for ports. */
  portMapping?: boolean;
  /** awl's own: `ADDRESS:PORT` where numbers are served for Prometheus. */
  metrics?: string;
}

const ICE_HOSTS = [
  'stun.xten.com:3478',
  'stun.voipbuster.com:3478',
  'stun.sipgate.net:3478',
  'stun.ekiga.net:3478',
  'stun.ideasip.com:3478',
  'stun.schlund.de:3478',
  'stun.voiparound.com:3478',
  'stun.voipbuster.com:3478',
  'stun.voipstunt.com:3478',
  'stun.counterpath.com:3478',
  'stun.1und1.de:3478',
  'stun.gmx.net:3478',
  'stun.callwithus.com:3478',
  'stun.counterpath.net:3478',
  'stun.internetcalls.com:3478',
  'numb.viagenie.ca:3478',
];

/** What the real one writes with `config init`, key by key. */
export const DEFAULT_CONFIG: MeepoConfig = {
  identityFile: '',
  daemon: true,
  asSignaling: true,
  log: { level: 'error' },
  proxy: { socks5: { host: '127.0.0.1', port: 12341 } },
  auth: { name: 'dummy' },
  transport: { name: 'webrtc', iceServers: ICE_HOSTS.map((host) => `stun:${host}`) },
  signaling: { name: 'redis', url: 'redis://meepo.redis.signaling.peerstud.io:6379/1' },
  api: { name: 'http', host: '127.0.0.1', port: 12345 },
  acl: null,
};

const FILE_MAX_CHARS = 256 * 1024;

type Check = (value: unknown) => boolean;
const isText: Check = (value) => typeof value === 'string' && value.length < 4096;
const isFlag: Check = (value) => typeof value === 'boolean';
const isPort: Check = (value) => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 65_535;
const isTexts: Check = (value) => value === null || (Array.isArray(value) && value.every(isText));

/** Every key that there is, and what it may hold; `null` in the place of a block means none. */
const SHAPE: Readonly<
  Record<string, Check | Readonly<Record<string, Check | Readonly<Record<string, Check>>>>>
> = {
  identityFile: isText,
  daemon: isFlag,
  asSignaling: isFlag,
  log: { level: isText },
  proxy: { socks5: { host: isText, port: isPort } },
  auth: { name: isText, secret: isText },
  transport: { name: isText, iceServers: isTexts },
  signaling: { name: isText, url: isText },
  api: { name: isText, host: isText, port: isPort },
  acl: { allows: isTexts, blocks: isTexts },
  awlSecretsOnly: isFlag,
  portMapping: isFlag,
  metrics: isText,
};

/** Names that a block must give, and those that there are. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  auth: ['dummy', 'secret'],
  transport: ['webrtc'],
  signaling: ['redis', 'hyperdht'],
  api: ['http'],
};

export interface ReadConfig {
  readonly config: MeepoConfig;
  /** Top-level keys that the file has. */
  readonly given: ReadonlySet<string>;
  /** One line each for keys that mean nothing any more. */
  readonly notes: readonly string[];
}

function bad(what: string, hint = 'awl meepo config init writes a file with every key'): AwlError {
  return new AwlError('CONFIG_SYNTAX', what, { hint });
}

/**
 * Reads a configuration file: each block that is there takes the place of the default one, as the real one has it.
 * @throws AwlError CONFIG_SYNTAX, CONFIG_UNKNOWN_NAME naming the key
 */
export async function parseConfig(text: string): Promise<ReadConfig> {
  if (text.length > FILE_MAX_CHARS) throw bad('the configuration is too large');
  const { parse } = await import('yaml');
  let root: unknown;
  try {
    // A file of a few lines needs no aliases; with them a short one becomes a huge one.
    root = parse(text, { maxAliasCount: 0, logLevel: 'error' });
  } catch (cause) {
    const why = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : '';
    throw bad(`the configuration is no YAML: ${why}`);
  }
  const notes: string[] = [];
  const top = root === null || root === undefined ? {} : block(root, 'the configuration');
  for (const key of Object.keys(top)) if (key !== 'meepo') throw unknown(key);
  const own = top['meepo'] === undefined || top['meepo'] === null ? {} : block(top['meepo'], 'meepo');
  const { id, ...rest } = own;
  if (id !== undefined) notes.push(ID_NOTE);
  for (const [key, value] of Object.entries(rest)) check([key], value);
  for (const [key, names] of Object.entries(NAMES)) {
    const value = rest[key];
    if (value === undefined || value === null) continue;
    const name = (value as Readonly<Record<string, unknown>>)['name'];
    if (names.some((one) => one === name)) continue;
    throw bad(
      `Unsupported namespace: meepo.${key}, name: ${typeof name === 'string' ? name.slice(0, 40) : ''}`,
    );
  }
  const config = { ...structuredClone(DEFAULT_CONFIG), ...rest } as MeepoConfig;
  if (config.auth.name === 'secret' && !config.auth.secret) throw bad('meepo.auth: a secret is missing');
  return { config, given: new Set(Object.keys(rest)), notes };
}

/** The rules of a configuration. */
export function accessOf({ auth, acl }: MeepoConfig): AccessSettings {
  return {
    ...(auth.name === 'secret' && auth.secret !== undefined && { secret: auth.secret }),
    allows: acl?.allows ?? [],
    blocks: acl?.blocks ?? [],
  };
}

/** What to say of the free name that the generation before 0.6 had. */
export const ID_NOTE =
  'id means nothing any more: a node is named by its key (identityFile), see awl meepo whoami';

function block(value: unknown, name: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw bad(`${name} is no block of keys`);
}

function unknown(key: string): AwlError {
  return new AwlError('CONFIG_UNKNOWN_NAME', `Unsupported config key: ${key.slice(0, 80)}`, {
    hint: `known are ${Object.keys(SHAPE).join(', ')}`,
  });
}

/** Blocks that may be none. */
const NULLABLE = ['proxy', 'proxy.socks5', 'signaling', 'acl'];

function check(path: readonly string[], value: unknown): void {
  const key = path.join('.');
  let shape: unknown = SHAPE;
  for (const part of path) {
    shape =
      typeof shape === 'object' && Object.hasOwn(shape as object, part) ? (shape as never)[part] : undefined;
    if (shape === undefined) throw unknown(key);
  }
  if (typeof shape === 'function') {
    if (!(shape as Check)(value)) throw bad(`meepo.${key} has a value that it cannot have`);
    return;
  }
  if (value === null && NULLABLE.includes(key)) return;
  for (const [name, inner] of Object.entries(block(value, `meepo.${key}`))) check([...path, name], inner);
}

/** The file's text: indent of four, every key. */
export async function formatConfig(config: MeepoConfig): Promise<string> {
  const { stringify } = await import('yaml');
  return stringify({ meepo: config }, { indent: 4, lineWidth: 0 });
}
