import { createPrivateKey, X509Certificate } from 'node:crypto';
import { AwlError, errorText } from '../errors.js';
import type { EmailSettings } from '../rendezvous/email/settings.js';
import type { RendezvousSettings } from '../rendezvous/registry.js';
import { expandHome, readInputFile } from './input-file.js';
import { oneLine } from './io.js';
import type { OptionName } from './options.js';
import { findPassword } from './password.js';
import { badValue, describeSource } from './source.js';
import type { OptionValues } from './values.js';

const PEM_MAX_BYTES = 256 * 1024;

const EMAIL_NAMES = ['email-smtps', 'email-imaps', 'email-login'] as const;
const PASSWORD_NAMES = ['email-password', 'email-password-file', 'email-password-command'] as const;
const DHT_NAMES = ['dht-bootstrap', 'dht-port', 'dht-network'] as const;

const WAYS =
  'use --email-smtps, --email-imaps, --email-login and --email-password-file, or --rendezvous=file with --file-dir';

type Env = Readonly<Record<string, string | undefined>>;

export interface ChosenRendezvous {
  readonly rendezvous: RendezvousSettings;
  readonly warnings: readonly string[];
}

/**
 * Chooses the rendezvous: as typed, else email where a mail server is named, else file where a folder is.
 * @throws AwlError USAGE_MISSING, USAGE_CONFLICT, CONFIG_UNREADABLE
 */
export async function rendezvousSettings(
  values: OptionValues,
  env: Env,
  accept: boolean,
  signal?: AbortSignal,
): Promise<ChosenRendezvous> {
  const folder = values.text('file-dir');
  const mail = firstGiven(values, [...EMAIL_NAMES, ...PASSWORD_NAMES]);
  // A password alone is no choice: it may stand in the environment for other calls.
  const server = firstGiven(values, ['email-smtps', 'email-imaps']);
  const name = values.choice('rendezvous') ?? (server ? 'email' : folder ? 'file' : undefined);
  if (name === 'email') {
    if (folder !== undefined) throw exclusive(values, 'rendezvous', 'file-dir');
    return emailSettings(values, env, accept, signal);
  }
  if (name === 'file') {
    if (server) throw exclusive(values, 'rendezvous', server);
    if (folder === undefined) {
      throw new AwlError('USAGE_MISSING', '--rendezvous=file needs --file-dir', {
        hint: 'name a folder that both sides see',
      });
    }
    return { rendezvous: { name: 'file', folder: expandHome(folder) }, warnings: [] };
  }
  const dht = firstGiven(values, DHT_NAMES);
  if (dht) {
    const source = values.written(dht).at(-1)?.source;
    const where = source ? describeSource(source) : `--${dht}`;
    throw new AwlError('USAGE_MISSING', `${where}: this version of awl cannot meet over the DHT yet`, {
      hint: WAYS,
    });
  }
  const problem = mail
    ? 'the mail servers are missing'
    : 'no rendezvous is named, and this version of awl cannot meet over the DHT (the default of plexus) yet';
  throw new AwlError('USAGE_MISSING', problem, { hint: WAYS });
}

function firstGiven<N extends OptionName>(values: OptionValues, names: readonly N[]): N | undefined {
  return names.find((name) => values.text(name) !== undefined && values.given(name));
}

function exclusive(values: OptionValues, a: OptionName, b: OptionName): AwlError {
  const [first, second] = [a, b].map((name) => {
    const source = values.written(name as OptionName).at(-1)?.source;
    return source ? describeSource(source) : `--${name}`;
  });
  const choice = values.choice('rendezvous');
  return new AwlError('USAGE_CONFLICT', `${first}=${choice} and ${second} exclude each other`, {
    hint: 'leave one of them out',
  });
}

/** All four of servers, login and password belong together (spec a.1), wherever each was written. */
async function emailSettings(
  values: OptionValues,
  env: Env,
  accept: boolean,
  signal?: AbortSignal,
): Promise<ChosenRendezvous> {
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
  return { rendezvous: { name: 'email', email }, warnings };
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
