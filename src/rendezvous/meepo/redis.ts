import { AwlError, errorText, isAwlError } from '../../errors.js';
import type { Logger } from '../../log.js';
import { backoffMs } from '../../util/backoff.js';
import { formatHostPort } from '../../util/host-port.js';
import type { RedisPlace } from './place.js';
import { boundReplies } from './redis-inside.js';

const CONNECT_MS = 5_000;
/** Idle connections through NATs and load balancers need a word now and then; Meepo says one every 57 s. */
const PING_MS = 57_000;
const BACKOFF = { baseMs: 250, maxMs: 5_000 } as const;

/** One connection to one Redis server; it comes back by itself until it is closed. */
export interface RedisLink {
  /** True while commands would be answered. */
  readonly ready: boolean;
  /** @throws AwlError RENDEZVOUS_UNREACHABLE, RENDEZVOUS_REFUSED, MESSAGE_TOO_LARGE; the signal's reason */
  command(args: readonly string[], signal: AbortSignal): Promise<unknown>;
  /** Hears a channel, across reconnections. Such a link takes no other commands. */
  subscribe(channel: string, heard: (text: string) => void, signal: AbortSignal): Promise<void>;
  close(): void;
}

export interface RedisOptions {
  /** An address of the server; the name in `place` is still the one that TLS verifies. */
  readonly address: string;
  readonly log: Logger;
  /** Keep trying when even the first connection fails, as a node does that starts before its server. */
  readonly patient: boolean;
  readonly onReady?: () => void;
}

/** @throws AwlError RENDEZVOUS_UNREACHABLE, RENDEZVOUS_REFUSED, RENDEZVOUS_UNTRUSTED unless `patient` */
export async function openRedis(
  place: RedisPlace,
  options: RedisOptions,
  signal: AbortSignal,
): Promise<RedisLink> {
  // Half a hundred files: only who uses Redis waits for them.
  const { createClient } = await import('redis');
  boundReplies();
  signal.throwIfAborted();
  const name = formatHostPort(place);
  let once = false;
  let told = false;
  const make = () => {
    const made = createClient({
      socket: {
        host: options.address,
        port: place.port,
        connectTimeout: CONNECT_MS,
        reconnectStrategy: (attempt, cause) =>
          once || options.patient ? backoffMs(attempt, BACKOFF) : cause,
        ...(place.tls && { tls: true as const, servername: place.host }),
      },
      database: place.database,
      // Servers before 6 know nothing newer.
      RESP: 2,
      pingInterval: PING_MS,
      ...(place.user !== undefined && { username: place.user }),
      ...(place.password !== undefined && { password: place.password }),
    });
    made.on('error', (error: unknown) => {
      if (isAwlError(error, 'MESSAGE_TOO_LARGE')) renew(error);
      else if (!told) options.log.debug(`Redis ${name} is away: ${errorText(error)}`);
      told = true;
    });
    made.on('ready', () => {
      if (told) options.log.debug(`Redis ${name} is there again`);
      once = true;
      told = false;
      options.onReady?.();
    });
    return made;
  };
  let closed = false;
  let fault: AwlError | undefined;
  const channels: [string, (text: string) => void][] = [];
  let client = make();
  const connected = client.connect().then(() => {});
  connected.catch(() => {});
  /** What follows a reply that was cut off means nothing: a new connection, and what was heard is heard again. */
  const renew = (why: AwlError) => {
    if (!fault) options.log.warning(`Redis ${name}: ${why.message}`);
    fault = why;
    client.destroy();
    if (closed) return;
    client = make();
    client.connect().catch(() => {});
    for (const [channel, heard] of channels) client.subscribe(channel, heard).catch(() => {});
  };
  const link: RedisLink = {
    get ready() {
      return client.isReady;
    },
    async command(args, ended) {
      const of = client;
      return guarded(of.sendCommand([...args]), name, ended).catch((error: unknown) => {
        throw of === client || !fault ? error : fault;
      });
    },
    async subscribe(channel, heard, ended) {
      channels.push([channel, heard]);
      await guarded(client.subscribe(channel, heard), name, ended);
    },
    close() {
      closed = true;
      if (client.isOpen) client.destroy();
    },
  };
  if (options.patient) return link;
  try {
    await guarded(connected, name, signal);
    return link;
  } catch (error) {
    link.close();
    throw error;
  }
}

async function guarded<T>(work: Promise<T>, name: string, signal: AbortSignal): Promise<T> {
  let onAbort = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
  });
  work.catch(() => {});
  try {
    return await Promise.race([work, aborted]);
  } catch (error) {
    signal.throwIfAborted();
    throw redisError(error, name);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function redisError(error: unknown, name: string): AwlError {
  const inner = error instanceof Error && 'originalError' in error ? error.originalError : error;
  const text = errorText(inner) || errorText(error);
  const code = inner instanceof Error && 'code' in inner ? String(inner.code) : '';
  if (/^(NOAUTH|WRONGPASS|NOPERM|ERR)/.test(text)) {
    return new AwlError('RENDEZVOUS_REFUSED', `Redis ${name} refuses: ${text.slice(0, 200)}`, {
      hint: 'check user, password and database number in the redis:// URL',
      cause: error,
    });
  }
  if (/CERT|SELF_SIGNED|SSL|TLS|altname/i.test(`${code} ${text}`)) {
    return new AwlError('RENDEZVOUS_UNTRUSTED', `Redis ${name} is not the one it should be: ${text}`, {
      hint: 'its certificate must be valid for the host name in the rediss:// URL',
      cause: error,
    });
  }
  return new AwlError('RENDEZVOUS_UNREACHABLE', `cannot reach Redis ${name}: ${text || code}`, {
    hint: 'check host, port and firewall; rediss:// speaks TLS, redis:// does not',
    cause: error,
  });
}
