import { existsSync, lstatSync } from 'node:fs';
import { createServer } from 'node:net';
import { AwlError, type ErrorCode, errorText, isAwlError } from '../../errors.js';
import { silentLogger } from '../../log.js';
import { Access } from '../../meepo/access.js';
import { accessOf } from '../../meepo/config.js';
import { formatHostPort } from '../../util/host-port.js';
import { deadline } from '../../util/sleep.js';
import { isEncryptedKey, KEY_FILE_MAX_BYTES } from '../../wire/meepo/openssh.js';
import { readInputFile } from '../input-file.js';
import { type Io, oneLine } from '../io.js';
import { countText, durationText } from '../quantity.js';
import { statusAt } from './client.js';
import { chosenConfig, loadConfig } from './config-actions.js';
import { loadIdentity } from './identity.js';
import { meepoDirectory, socketPath } from './place.js';
import { signalingOf } from './signaling.js';

/** One thing that was looked at. */
export interface NodeCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly text: string;
  readonly code?: ErrorCode;
  readonly hint?: string;
}

export interface NodeCheckOptions {
  readonly flags: ReadonlyMap<string, string>;
  readonly io: Pick<Io, 'env'>;
  readonly signal: AbortSignal;
}

/** As long as `awl doctor` takes in all. */
const LIMIT_MS = 5_000;

type Found = Omit<NodeCheck, 'name' | 'ok'>;

/**
 * Looks at what a node with this configuration needs: the file, the key and who else can read it, the folder and its
 * socket, the ports, the signaling, and the rules. Changes nothing. Never rejects but with the signal's reason.
 */
export async function checkNode(options: NodeCheckOptions): Promise<NodeCheck[]> {
  const { flags, io, signal } = options;
  const path = chosenConfig(options);
  const checks: NodeCheck[] = [];
  const look = async (name: string, run: () => Promise<string | Found>) => {
    checks.push(await checked(name, run));
    signal.throwIfAborted();
  };
  const read = await loadConfig(path).catch((error: unknown) => error);
  await look('Configuration', async () => {
    if (read instanceof Error) throw read;
    return existsSync(path) ? path : `${path} is not there: defaults`;
  });
  await look('Folder', async () => folderText(meepoDirectory(io.env)));
  const running = await daemonOf(options);
  await look(
    'Socket',
    async () => running ?? `${socketPath(io.env)}: nobody answers; awl meepo serve starts a node`,
  );
  if (read instanceof Error || !isReadConfig(read)) return checks;
  const { config, given } = read;
  await look('Identity', () =>
    identityText(flags.get('identity-file') ?? flags.get('filename') ?? config.identityFile, options),
  );
  if (running === undefined) {
    const { api, proxy } = config;
    await look('API port', () => portText(api.host, api.port, 'api.port'));
    const socks = proxy?.socks5;
    await look('Proxy port', async () =>
      socks ? portText(socks.host, socks.port, 'proxy.socks5.port') : 'none',
    );
  }
  await look('Signaling', () => signalingText(signalingOf(config, given), signal));
  await look('Access', async () => new Access(accessOf(config)).summary);
  await look('Secrets', async () =>
    config.awlSecretsOnly
      ? 'go to awl only'
      : 'go to a real Meepo as a hash that it can use elsewhere (awlSecretsOnly: true refuses)',
  );
  return checks;
}

type ReadConfig = Awaited<ReturnType<typeof loadConfig>>;
function isReadConfig(value: unknown): value is ReadConfig {
  return typeof value === 'object' && value !== null && 'config' in value;
}

async function checked(name: string, run: () => Promise<string | Found>): Promise<NodeCheck> {
  try {
    const found = await run();
    return typeof found === 'string' ? { name, ok: true, text: found } : { name, ok: !found.code, ...found };
  } catch (error) {
    const known = isAwlError(error) ? error : undefined;
    const hint = known?.hint;
    return {
      name,
      ok: false,
      text: errorText(error),
      code: known?.code ?? 'INTERNAL',
      ...(hint && { hint }),
    };
  }
}

/** Others who could write there could put another socket in its place. */
function folderText(path: string): string | Found {
  if (!existsSync(path)) return `${path} is not there: serve makes it`;
  const info = lstatSync(path);
  const ours = process.getuid === undefined || info.uid === process.getuid();
  if (info.isDirectory() && ours && (info.mode & 0o022) === 0) return path;
  return {
    text: `${path} is not a folder that only you can change`,
    code: 'IDENTITY_UNSAFE',
    hint: `make it yours: chmod 700 ${path}`,
  };
}

/** What runs there, or nothing. */
async function daemonOf({ io, signal }: NodeCheckOptions): Promise<string | undefined> {
  const socket = socketPath(io.env);
  const status = await statusAt(socket, LIMIT_MS, signal);
  const mode = lstatSync(socket, { throwIfNoEntry: false })?.mode;
  if (!status || mode === undefined) return undefined;
  const { pid, id, upMs, transports, teleportations } = status;
  const seen = [countText(transports.length, 'transport'), countText(teleportations.length, 'teleportation')];
  return `${socket} (${(mode & 0o777).toString(8)}): node ${pid} ${id} is up ${durationText(upMs)}, ${seen.join(', ')}`;
}

async function identityText(file: string, { io, signal }: NodeCheckOptions): Promise<string> {
  if (file === '') return 'a new name at each start: no identityFile; awl meepo keygen makes a key';
  const { text, exposed } = readInputFile(file, 'the identity file', KEY_FILE_MAX_BYTES);
  if (!exposed && isEncryptedKey(text)) return `${file}: only you can read it, and it needs its passphrase`;
  // The rest, others' rights above all, is judged as serve does.
  const { keys } = await loadIdentity(file, undefined, signal, io.env['SSH_AUTH_SOCK']);
  if (keys.signer)
    return `${keys.id}, whose key the ssh-agent has: real Meepo nodes cannot call this one, awl nodes can`;
  return `${keys.id} in ${file}, which only you can read`;
}

function portText(host: string, port: number, key: string): Promise<string | Found> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) =>
      resolve({
        text: `${host}:${port} cannot be had: ${errorText(error)}`,
        code: 'TCP_BIND',
        hint: `another program has it; ${key} names another one`,
      }),
    );
    server.listen(port, host, () => server.close(() => resolve(`${host}:${port} is free`)));
  });
}

async function signalingText(
  choice: ReturnType<typeof signalingOf>,
  outer: AbortSignal,
): Promise<string | Found> {
  if ('hyperdht' in choice) {
    const { checkAll } = await import('../rendezvous-check.js');
    const [check] = await checkAll([{ name: 'hyperdht', hyperdht: choice.hyperdht }], silentLogger, outer);
    const { ok = false, where = '', ms = 0, letterMs, message = '', code = 'INTERNAL', hint } = check ?? {};
    if (!ok) return { text: `hyperdht (${where}): ${message}`, code, ...(hint && { hint }) };
    const letter = typeof letterMs === 'number' ? `, a letter came back after ${letterMs} ms` : '';
    return `hyperdht (${where}): a node answers after ${ms} ms${letter}; real nodes are not there`;
  }
  const where = formatHostPort(choice.redis);
  const late = () =>
    new AwlError('RENDEZVOUS_UNREACHABLE', `Redis ${where} gave no answer in time`, {
      hint: 'a node starts without it and waits; check signaling.url and firewalls',
    });
  const limit = deadline(LIMIT_MS, late, outer);
  try {
    const { tryRedis } = await import('../../meepo/signaling-check.js');
    const { addresses, ms } = await tryRedis(choice.redis, silentLogger, limit.signal);
    const at = addresses > 1 ? ` at ${addresses} addresses` : '';
    return `Redis ${where}${at}: a message to myself came back after ${ms} ms`;
  } finally {
    limit.dispose();
  }
}

/** What was found, in words, in the columns of `awl doctor`. */
export function nodeCheckText(checks: readonly NodeCheck[]): string {
  const rows = checks.flatMap(({ name, text, code, hint }) => [
    `${name.padEnd(17)}${code ? `${code}: ` : ''}${oneLine(text)}`,
    ...(code && hint ? [`${''.padEnd(17)}  hint: ${oneLine(hint)}`] : []),
  ]);
  return rows.map((row) => `${row}\n`).join('');
}
