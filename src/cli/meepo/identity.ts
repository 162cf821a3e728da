import { closeSync, constants, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { AwlError, errorText } from '../../errors.js';
import { redact } from '../../log.js';
import { agentKeys } from '../../meepo/agent-keys.js';
import { type MeepoKeys, meepoKeys } from '../../wire/meepo/keys.js';
import { formatKeyFile, isEncryptedKey, KEY_FILE_MAX_BYTES, parseKeyFile } from '../../wire/meepo/openssh.js';
import { readPublicKeyLine } from '../../wire/ssh-agent.js';
import { expandHome, firstLine, readInputFile } from '../input-file.js';
import { oneLine } from '../io.js';
import type { MeepoContext } from './context.js';

const PASSPHRASE_MAX_BYTES = 4096;

/** An identity, and the passphrase that opened it, for a child that must open it again. */
export interface Identity {
  readonly keys: MeepoKeys;
  readonly passphrase?: string;
}

/**
 * The identity in a file; a new one for this run where none is named. A public key file means the ssh-agent's.
 * @param agent SSH_AUTH_SOCK
 * @throws AwlError IDENTITY_INVALID, IDENTITY_UNSAFE, CONFIG_UNREADABLE
 */
export async function loadIdentity(
  file: string,
  passphraseFile: string | undefined,
  signal: AbortSignal,
  agent: string | undefined,
): Promise<Identity> {
  if (file === '') return { keys: meepoKeys() };
  const { text, exposed } = readInputFile(file, 'the identity file', KEY_FILE_MAX_BYTES);
  const publicKey = readPublicKeyLine(text);
  if (publicKey) {
    if (agent) return { keys: await agentKeys(agent, publicKey) };
    throw new AwlError('IDENTITY_INVALID', `${oneLine(file)} is a public key, and there is no ssh-agent`, {
      hint: 'name the private key file, or start an agent that has it: SSH_AUTH_SOCK tells where',
    });
  }
  if (exposed) {
    throw new AwlError('IDENTITY_UNSAFE', `others may read the identity file ${oneLine(file)}`, {
      hint: `chmod 600 ${oneLine(file)}`,
    });
  }
  if (!isEncryptedKey(text)) return { keys: parseKeyFile(text).keys };
  const passphrase =
    passphraseFile === undefined
      ? await askPassphrase(`Passphrase of ${oneLine(file)}: `, signal)
      : firstLine(readInputFile(passphraseFile, 'the passphrase file', PASSPHRASE_MAX_BYTES).text);
  redact(passphrase);
  return { keys: parseKeyFile(text, passphrase).keys, passphrase };
}

/** Asks on the terminal without showing what is typed. */
function askPassphrase(prompt: string, signal: AbortSignal): Promise<string> {
  const { stdin, stderr } = process;
  if (!stdin.isTTY) {
    throw new AwlError('IDENTITY_INVALID', 'the identity file needs a passphrase, and there is no terminal', {
      hint: 'name a file that holds it: --passphrase-file',
    });
  }
  return new Promise((resolve, reject) => {
    let typed = '';
    const done = (error?: Error) => {
      signal.removeEventListener('abort', onAbort);
      stdin.setRawMode(false);
      stdin.pause();
      stdin.off('data', onData);
      stderr.write('\n');
      if (error) reject(error);
      else resolve(typed);
    };
    const onAbort = () => done(signal.reason as Error);
    const onData = (data: Buffer) => {
      for (const key of data.toString('utf8')) {
        if (key === '\r' || key === '\n' || key === '\x04') return done();
        if (key === '\x03') return done(new AwlError('ABORTED', 'stopped at the passphrase'));
        if (key === '\x7f' || key === '\b') typed = typed.slice(0, -1);
        else if (typed.length < PASSPHRASE_MAX_BYTES) typed += key;
      }
      return undefined;
    };
    // Nothing of what is typed ahead is shown either.
    stdin.setRawMode(true);
    stderr.write(prompt);
    stdin.resume();
    stdin.on('data', onData);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** `keygen`: an OpenSSH key file, 0600. */
export async function runKeygen({ flags }: MeepoContext): Promise<string> {
  const type = flags.get('type') ?? 'ed25519';
  if (type !== 'ed25519') throw new AwlError('USAGE_BAD_VALUE', `Unsupported type: ${type.slice(0, 40)}`);
  const path = expandHome(flags.get('filename') ?? 'meepo.pem');
  const phraseFile = flags.get('passphrase-file');
  const phrase =
    phraseFile === undefined
      ? undefined
      : firstLine(readInputFile(phraseFile, 'the passphrase file', PASSPHRASE_MAX_BYTES).text);
  const text = formatKeyFile({ keys: meepoKeys(), comment: '' }, phrase);
  const overwrite = flags.get('overwrite') === 'true';
  const { O_WRONLY, O_CREAT, O_EXCL, O_TRUNC, O_NOFOLLOW } = constants;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const fd = openSync(path, O_WRONLY | O_CREAT | O_NOFOLLOW | (overwrite ? O_TRUNC : O_EXCL), 0o600);
    try {
      writeSync(fd, text);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') {
      throw new AwlError('FILE_EXISTS', 'file already exists', { hint: '--overwrite replaces it', cause });
    }
    throw new AwlError('FILE_WRITE', `cannot write ${oneLine(path)}: ${errorText(cause)}`, { cause });
  }
  return 'Key generated!\n';
}
