import { Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { AwlError } from '../../errors.js';
import { redact } from '../../log.js';
import { lookupName } from '../../util/name-lookup.js';

/** A Redis server as its URL names it. */
export interface RedisPlace {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly database: number;
  readonly user?: string;
  readonly password?: string;
}

const REDIS_PORT = 6379;
const DATABASE_MAX = 65_535;
/** A name with more addresses than this is nobody's Redis. */
const ADDRESSES_MAX = 8;

/**
 * Reads `redis[s]://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE]`. The password is kept out of logs from now on.
 * @throws AwlError USAGE_BAD_VALUE, without repeating what may hold a password
 */
export function parseRedisUrl(text: string): RedisPlace {
  const bad = (why: string) =>
    new AwlError('USAGE_BAD_VALUE', `the Redis URL ${why}`, {
      hint: 'write redis://HOST[:PORT][/DATABASE], or rediss:// for TLS',
    });
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw bad('cannot be read');
  }
  if (url.protocol !== 'redis:' && url.protocol !== 'rediss:')
    throw bad('is none: it begins with another word');
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (host === '') throw bad('names no host');
  const digits = /^\/?(\d{0,5})$/.exec(url.pathname)?.[1];
  const database = Number(digits);
  if (digits === undefined || database > DATABASE_MAX) throw bad('names no database by number');
  const [user, password] = [decode(url.username), decode(url.password)];
  if (user === undefined || password === undefined) throw bad('cannot be read');
  if (password !== '') redact(password);
  return {
    host,
    port: url.port === '' ? REDIS_PORT : Number(url.port),
    tls: url.protocol === 'rediss:',
    database,
    ...(user !== '' && { user }),
    ...(password !== '' && { password }),
  };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/**
 * Every address of the server: Meepo nodes publish to all of them, as each may know another half of the world.
 * @throws Error of the name server
 */
export async function addressesOf(host: string, signal: AbortSignal): Promise<string[]> {
  if (isIP(host)) return [host];
  const resolver = new Resolver({ timeout: 1000, tries: 2 });
  const onAbort = () => resolver.cancel();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const all = await Promise.all([
      resolver.resolve4(host).catch(() => []),
      resolver.resolve6(host).catch(() => []),
    ]);
    const found = all.flat().slice(0, ADDRESSES_MAX);
    // The hosts file and other sources of the system know names that no name server does.
    return found.length > 0 ? found : [await lookupName(host, 4, signal)];
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
