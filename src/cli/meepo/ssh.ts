import { AwlError } from '../../errors.js';
import { ask, secretOf, textOf } from './actions.js';
import type { MeepoContext } from './context.js';

/** ssh's options that take the next word, so that no value is taken for the destination. */
const WITH_VALUE = 'BbcDEeFIiJLlmOoPpQRSWw';

interface SshLine {
  readonly user?: string;
  readonly id: string;
  readonly port?: string;
  /** Everything else, in its order: options before the destination, and a command behind it. */
  readonly before: readonly string[];
  readonly after: readonly string[];
}

/**
 * Finds destination and port among ssh's own arguments; all others are kept, the one before the destination included
 * (which the real one drops).
 * @throws AwlError USAGE_MISSING
 */
export function readSshWords(
  words: readonly string[],
  id: string | undefined,
  user: string | undefined,
): SshLine {
  const before: string[] = [];
  let port: string | undefined;
  let i = 0;
  for (; i < words.length; i++) {
    const word = words[i] ?? '';
    if (!word.startsWith('-') || word === '-') break;
    const letter = word.charAt(1);
    if (letter === 'p') {
      port = word.length > 2 ? word.slice(2).replace(/^=/, '') : words[++i];
      continue;
    }
    before.push(word);
    if (word.length === 2 && WITH_VALUE.includes(letter)) before.push(words[++i] ?? '');
  }
  const found = id === undefined ? words[i++] : id;
  if (found === undefined) {
    throw new AwlError('USAGE_MISSING', 'require destination', { hint: 'awl meepo ssh -- user@id' });
  }
  const at = found.lastIndexOf('@');
  const name = user ?? (at > 0 ? found.slice(0, at) : undefined);
  return {
    id: found.slice(at + 1),
    ...(name !== undefined && { user: name }),
    ...(port !== undefined && { port }),
    before,
    after: words.slice(i),
  };
}

/** One word for a shell's eval, unchanged where it needs no quotes. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** `ssh`: makes a teleportation to the peer's ssh server and prints the line that uses it. */
export async function runSsh(context: MeepoContext): Promise<string> {
  const { flags, words } = context;
  const line = readSshWords(words, flags.get('id'), flags.get('username'));
  const raddr = flags.get('raddr') ?? '127.0.0.1:22';
  const remote = line.port === undefined ? raddr : raddr.replace(/:[^:]*$/, `:${line.port}`);
  const id = context.peer(line.id);
  const made = await ask(context, 'teleport', {
    id,
    name: `ssh:${id}:${remote.split(':').at(-1)}`,
    localNetwork: 'tcp',
    localAddress: flags.get('laddr') ?? '127.0.0.1:0',
    remoteNetwork: 'tcp',
    remoteAddress: remote,
    ...secretOf(context),
  });
  const address = textOf(made['localAddress'], 'address');
  const [, host = '127.0.0.1', port = ''] = /^\[?(.*?)\]?:(\d+)$/.exec(address) ?? [];
  const loose =
    flags.get('strict') === 'true'
      ? []
      : ["-o 'StrictHostKeyChecking=no'", "-o 'UserKnownHostsFile=/dev/null'"];
  const destination = line.user === undefined ? host : `${line.user}@${host}`;
  const parts = [
    shellWord(flags.get('binary') ?? 'ssh'),
    `-p${port}`,
    ...loose,
    ...line.before.map(shellWord),
    shellWord(destination),
    ...line.after.map(shellWord),
  ];
  return `${parts.join(' ')}\n`;
}
