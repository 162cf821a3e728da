import { createPrivateKey, X509Certificate } from 'node:crypto';
import { AwlError, errorText } from '../errors.js';
import type { EmailSettings } from '../rendezvous/email/settings.js';
import { parseRedisUrl, type RedisPlace } from '../rendezvous/meepo/place.js';
import type { RendezvousSettings } from '../rendezvous/registry.js';
import { dhtSettings } from './dht-settings.js';
import { expandHome, readInputFile } from './input-file.js';
import { oneLine } from './io.js';
import type { OptionName } from './options.js';
import { findPassword } from './password.js';
import { chosenRendezvous } from './rendezvous-choice.js';
import { badValue } from './source.js';
import type { OptionValues } from './values.js';

const PEM_MAX_BYTES = 256 * 1024;

const EMAIL_NAMES = ['email-smtps', 'email-imaps', 'email-login'] as const;
const PASSWORD_NAMES = ['email-password', 'email-password-file', 'email-password-command'] as const;

type Env = Readonly<Record<string, string | undefined>>;

export interface ChosenRendezvous {
  /** One or more, in the order typed. */
  readonly rendezvous: readonly RendezvousSettings[];
  readonly warnings: readonly string[];
}

/**
 * The rendezvous that {@link chosenRendezvous} finds, each with what it needs.
 * @throws AwlError USAGE_MISSING, USAGE_CONFLICT, USAGE_BAD_VALUE, CONFIG_UNREADABLE
 */
export async function rendezvousSettings(
  values: OptionValues,
  env: Env,
  accept: boolean,
  signal?: AbortSignal,
): Promise<ChosenRendezvous> {
  const names = chosenRendezvous(values);
  const rendezvous: RendezvousSettings[] = [];
  const warnings: string[] = [];
  const alone = !(names.includes('hyperdht') && names.includes('opendht'));
  if (!alone && !values.given('rendezvous') && values.given('dht-bootstrap')) {
    warnings.push(
      `--dht-bootstrap=${values.texts('dht-bootstrap').map(oneLine).join(',')} may name nodes of HyperDHT or of ` +
        'OpenDHT: both are tried; --rendezvous=hyperdht or --rendezvous=opendht says which',
    );
  }
  for (const name of names) {
    if (name === 'email') {
      const email = await emailSettings(values, env, accept, signal);
      rendezvous.push({ name, email: email.settings });
      warnings.push(...email.warnings);
    } else if (name === 'meepo') {
      const { redis, warning } = redisPlace(values);
      rendezvous.push({ name, meepo: { redis } });
      if (warning !== undefined) warnings.push(warning);
    } else if (name === 'file') {
      rendezvous.push({ name, folder: folderOf(values) });
    } else {
      rendezvous.push(dhtSettings(values, name, alone, tokens(env)));
    }
  }
  return { rendezvous, warnings };
}

/** What the user configured by any option of a rendezvous; none if nothing was: a doctor asks no public node unbidden. */
export async function configuredRendezvous(
  values: OptionValues,
  env: Env,
  signal?: AbortSignal,
): Promise<ChosenRendezvous> {
  const any = firstGiven(values, [
    'rendezvous',
    ...EMAIL_NAMES,
    'file-dir',
    'redis-url',
    'dht-bootstrap',
    'dht-network',
  ]);
  return any ? rendezvousSettings(values, env, true, signal) : { rendezvous: [], warnings: [] };
}

function redisPlace(values: OptionValues): { readonly redis: RedisPlace; readonly warning?: string } {
  const url = values.text('redis-url');
  if (url === undefined) {
    throw new AwlError('USAGE_MISSING', '--rendezvous=meepo needs --redis-url', {
      hint: 'name the Redis server of both sides: --redis-url=redis://HOST[:PORT][/DB]',
    });
  }
  const redis = parseRedisUrl(url);
  const typed = values.written('redis-url').at(-1)?.source.kind === 'argv';
  if (!typed || redis.password === undefined) return { redis };
  return { redis, warning: 'other users can read the password of --redis-url; AWL_REDIS_URL hides it' };
}

function folderOf(values: OptionValues): string {
  const folder = values.text('file-dir');
  if (folder !== undefined) return expandHome(folder);
  throw new AwlError('USAGE_MISSING', '--rendezvous=file needs --file-dir', {
    hint: 'name a folder that both sides see',
  });
}

function firstGiven<N extends OptionName>(values: OptionValues, names: readonly N[]): N | undefined {
  return names.find((name) => values.text(name) !== undefined && values.given(name));
}

/** All four of servers, login and password belong together (spec a.1), wherever each was written. */
async function emailSettings(
  values: OptionValues,
  env: Env,
  accept: boolean,
  signal?: AbortSignal,
): Promise<{ readonly settings: EmailSettings; readonly warnings: readonly string[] }> {
  const lacking: string[] = EMAIL_NAMES.filter((name) => values.text(name) === undefined).map(
    (n) => `--${n}`,
  );
  if (!firstGiven(values, PASSWORD_NAMES)) lacking.push('--email-password-file');
  const smtps = values.server('email-smtps');
  const imaps = values.server('email-imaps');
  const login = values.text('email-login');
  const password = lacking.length === 0 ? await findPassword(values, signal) : undefined;
  if (!smtps || !imaps || login === undefined || !password) {
    throw new AwlError('USAGE_MISSING', `the e-mail rendezvous lacks ${lacking.join(', ')}`, {
      hint: 'both servers, login and password belong together',
    });
  }
  const warnings = password.warning === undefined ? [] : [password.warning];
  if (values.flag('email-insecure')) {
    warnings.push('--email-insecure: anybody between you and the mail servers can read the password');
  }
  const pollMs = pollTime(values, env, accept);
  const email: EmailSettings = {
    smtps,
    imaps,
    login,
    password: password.value,
    tokens: tokens(env),
    ...clientCertificate(values),
    ...(pollMs !== undefined && { pollMs }),
    ...(values.flag('email-insecure') && { insecure: true }),
  };
  return { settings: email, warnings };
}

/** The certificates of both options as PEM, checked so that a mistake shows before the servers are asked. */
function clientCertificate(values: OptionValues): Pick<EmailSettings, 'cert' | 'key' | 'ca'> {
  const cert = pem(values, 'email-cert', (text) => new X509Certificate(text));
  const key = pem(values, 'email-key', (text) => createPrivateKey(text));
  const ca = pem(values, 'email-ca', (text) => new X509Certificate(text));
  return {
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(ca !== undefined && { ca }),
  };
}

function pem(values: OptionValues, name: OptionName, check: (text: string) => unknown): string | undefined {
  const file = values.text(name);
  if (file === undefined) return undefined;
  const { text } = readInputFile(file, `--${name}`, PEM_MAX_BYTES);
  try {
    check(text);
    return text;
  } catch (error) {
    const kind = name === 'email-key' ? 'private key without a passphrase' : 'certificate';
    throw new AwlError('CONFIG_UNREADABLE', `--${name} ${oneLine(file)} holds no ${kind} in PEM`, {
      hint: `it must begin with -----BEGIN ${name === 'email-key' ? 'PRIVATE KEY' : 'CERTIFICATE'}-----`,
      cause: errorText(error),
    });
  }
}

/** `--email-poll`, else plexus' variables: the longer one for accepting, the shorter for inviting (spec a.5). */
function pollTime(values: OptionValues, env: Env, accept: boolean): number | undefined {
  const seconds = values.number('email-poll');
  if (seconds !== undefined) return Math.round(seconds * 1000);
  const which = accept ? 'MAX' : 'MIN';
  for (const as of [`PLEXUS_EMAIL_${which}_POLLING_TIMEOUT`, `PLEXUS_${which}_POLLING_TIMEOUT`]) {
    const text = env[as];
    if (text === undefined) continue;
    if (/^\d{1,9}$/.test(text) && Number(text) >= 100) return Number(text);
    throw badValue({ kind: 'env', as }, `is "${oneLine(text)}"`, 'write milliseconds, at least 100');
  }
  return undefined;
}

/** The second words of the mail subjects; both sides must use the same ones. */
function tokens(env: Env): { invite: string; accept: string } {
  const read = (as: string, standard: string) => {
    const text = env[as] ?? standard;
    if (/^[\x21-\x7e]{1,64}$/.test(text)) return text;
    throw badValue(
      { kind: 'env', as },
      'is no word',
      'use 1 to 64 printable ASCII characters without blanks',
    );
  };
  const pair = {
    invite: read('PLEXUS_INVITE_TOKEN', 'invite'),
    accept: read('PLEXUS_ACCEPT_TOKEN', 'accept'),
  };
  if (pair.invite !== pair.accept) return pair;
  throw badValue(
    { kind: 'env', as: 'PLEXUS_INVITE_TOKEN' },
    'equals PLEXUS_ACCEPT_TOKEN',
    'invitations and answers must differ',
  );
}
