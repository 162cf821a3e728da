import { AwlError } from '../errors.js';
import { ID_NOTE, type MeepoConfig } from './config.js';

/** Keys of `config get`, as they are printed: plain values without a line end, blocks as YAML. */
const GETTERS: Readonly<Record<string, (config: MeepoConfig) => unknown>> = {
  identityFile: (config) => config.identityFile,
  'log.level': (config) => config.log.level,
  'signaling.url': (config) => config.signaling?.url ?? '',
  'transport.iceServers': (config) => (config.transport.iceServers ?? []).join(','),
  asSignaling: (config) => String(config.asSignaling),
  awlSecretsOnly: (config) => String(config.awlSecretsOnly === true),
  portMapping: (config) => String(config.portMapping !== false),
  metrics: (config) => config.metrics ?? '',
};
const BLOCKS: Readonly<Record<string, (config: MeepoConfig) => unknown>> = {
  auth: (config) => config.auth,
  'proxy.socks5': (config) => config.proxy?.socks5 ?? null,
};

function unsupported(key: string): AwlError {
  return new AwlError('CONFIG_UNKNOWN_NAME', `Unsupported config key: ${key.slice(0, 80)}`);
}

/** What `config get KEY` prints. @throws AwlError CONFIG_UNKNOWN_NAME */
export async function getKey(config: MeepoConfig, key: string): Promise<string> {
  const plain = Object.hasOwn(GETTERS, key) ? GETTERS[key] : undefined;
  if (plain) return String(plain(config));
  const whole = Object.hasOwn(BLOCKS, key) ? BLOCKS[key] : undefined;
  if (!whole) throw unsupported(key);
  const { stringify } = await import('yaml');
  return stringify(whole(config), { indent: 4 });
}

async function yamlOf(text: string, key: string): Promise<unknown> {
  const { parse } = await import('yaml');
  try {
    return parse(text, { maxAliasCount: 0, logLevel: 'error' });
  } catch (cause) {
    throw new AwlError('CONFIG_SYNTAX', `${key}: the value is no YAML`, { cause });
  }
}

function flagOf(value: string, key: string): boolean {
  if (value === 'true' || value === 'false') return value === 'true';
  throw new AwlError('CONFIG_SYNTAX', `${key} is true or false`);
}

/**
 * Changes one key. What it comes to is checked as a whole afterwards.
 * @returns a line to show, for keys that mean nothing any more
 * @throws AwlError CONFIG_UNKNOWN_NAME, CONFIG_SYNTAX
 */
export async function setKey(config: MeepoConfig, key: string, value: string): Promise<string | undefined> {
  switch (key) {
    case 'id':
      return ID_NOTE;
    case 'identityFile':
      config.identityFile = value;
      return undefined;
    case 'log.level':
      config.log = { level: value };
      return undefined;
    case 'signaling.url':
      config.signaling =
        value === '' ? null : { name: value.startsWith('hyperdht:') ? 'hyperdht' : 'redis', url: value };
      return undefined;
    case 'asSignaling':
      config.asSignaling = flagOf(value, key);
      return undefined;
    case 'awlSecretsOnly':
      config.awlSecretsOnly = flagOf(value, key);
      return undefined;
    case 'portMapping':
      config.portMapping = flagOf(value, key);
      return undefined;
    case 'metrics':
      if (value === '') delete config.metrics;
      else config.metrics = value;
      return undefined;
    case 'auth':
      config.auth = (await yamlOf(value, key)) as MeepoConfig['auth'];
      return undefined;
    case 'auth.dummy':
      config.auth = { name: 'dummy' };
      return undefined;
    case 'auth.secret':
      config.auth = { name: 'secret', secret: value };
      return undefined;
    case 'proxy.socks5':
      config.proxy = { socks5: value === '' ? null : await yamlOf(value, key) } as MeepoConfig['proxy'];
      return undefined;
    default:
      throw unsupported(key);
  }
}
