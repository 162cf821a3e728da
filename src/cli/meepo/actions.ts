import { AwlError } from '../../errors.js';
import { isDaemonStatus } from '../../meepo/status.js';
import { sleep } from '../../util/sleep.js';
import { firstLine, readInputFile } from '../input-file.js';
import { oneLine } from '../io.js';
import { version } from '../version.js';
import { callDaemon, isAnswering } from './client.js';
import type { MeepoContext } from './context.js';
import { nodeText } from './status-text.js';
import { asciiTable } from './table.js';

type Json = Readonly<Record<string, unknown>>;
const SECRET_MAX_BYTES = 4096;
/** The daemon answers for a second after it was told to end. */
const GONE_MS = 8_000;
const GONE_LOOK_MS = 100;

/** What the daemon's `version` and our own half of it say. */
export function versionFields(): Readonly<Record<string, string>> {
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  return {
    version: version(),
    goVersion: `node ${process.version}`,
    gitHash: '',
    built: '',
    platform: `${process.platform}/${arch}`,
  };
}

function versionLines(title: string, of: Json): string {
  const rows = [
    ['Version', of['version']],
    ['GoVersion', of['goVersion']],
    ['GitHash', of['gitHash']],
    ['Bulit', of['built']],
    ['Platform', of['platform']],
  ];
  return [
    `Meepo ${title}:`,
    ...rows.map(([name, text]) => `  ${name}:\t\t${oneLine(String(text ?? ''))}`),
    '',
  ].join('\n');
}

function list(value: unknown): Json[] {
  return Array.isArray(value) ? (value as Json[]) : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? oneLine(value) : '';
}

function ends(value: unknown): string {
  const { network, address } = (value ?? {}) as Json;
  return `${text(network)}:${text(address)}`;
}

/** The secret of a teleportation: typed, or from a file. */
export function secretOf({ flags }: MeepoContext): { readonly secret?: string } {
  const file = flags.get('secret-file');
  if (file !== undefined) {
    return { secret: firstLine(readInputFile(file, 'the secret file', SECRET_MAX_BYTES).text) };
  }
  const secret = flags.get('secret');
  return secret === undefined ? {} : { secret };
}

function teleportFields(context: MeepoContext): Json {
  const { words, flags } = context;
  const [name, localAddress] = [flags.get('name'), flags.get('local-address')];
  return {
    remoteNetwork: 'tcp',
    remoteAddress: words[1],
    ...(name !== undefined && { name }),
    ...(localAddress !== undefined && { localNetwork: 'tcp', localAddress }),
    ...secretOf(context),
  };
}

/** Commands that ask the daemon one thing and print one thing. */
export const ACTIONS: Readonly<Record<string, (context: MeepoContext) => Promise<string>>> = {
  whoami: async (context) => `${text((await ask(context, 'whoami'))['id'])}\n`,
  status: async (context) => {
    const status = await ask(context, 'status');
    if (context.flags.get('json') === 'true') return `${JSON.stringify(status)}\n`;
    if (isDaemonStatus(status)) return nodeText(status);
    throw new AwlError('MEEPO_UNAVAILABLE', 'the daemon is of another version; --json shows what it says');
  },
  version: async (context) => {
    const server = await ask(context, 'version').catch((error: unknown) => {
      context.io.stdout(versionLines('Client', versionFields()));
      throw error;
    });
    return `${versionLines('Client', versionFields())}\n${versionLines('Server', server)}`;
  },
  shutdown: async (context) => {
    await ask(context, 'shutdown');
    // Whoever starts it again in the next line finds the ports free.
    const until = performance.now() + GONE_MS;
    while (performance.now() < until && (await isAnswering(context.daemon, context.signal)))
      await sleep(GONE_LOOK_MS, context.signal);
    return 'Meepo shutting down\n';
  },
  ping: async (context) => {
    await ask(context, 'ping', { peerID: context.peer(context.words[0]) });
    return 'Pong\n';
  },
  'transport new': async (context) => {
    await ask(context, 'new_transport', { peerID: context.peer(context.words[0]) });
    return 'Transport creating\n';
  },
  'transport close': async (context) => {
    await ask(context, 'close_transport', { peerID: context.peer(context.words[0]) });
    return 'Transport closing\n';
  },
  'transport list': async (context) => {
    const all = list((await ask(context, 'list_transports'))['transports']);
    return asciiTable(
      ['PEER', 'STATE'],
      all.map(({ peerID, state }) => [text(peerID), text(state)]),
    );
  },
  teleport: async (context) => {
    const made = await ask(context, 'teleport', {
      id: context.peer(context.words[0]),
      ...teleportFields(context),
    });
    return `Teleport SUCCESS\nEnjoy your teleportation with ${text(made['localAddress'])}\n`;
  },
  'teleportation new': async (context) => {
    await ask(context, 'new_teleportation', {
      peerID: context.peer(context.words[0]),
      ...teleportFields(context),
    });
    return 'Teleportation creating\n';
  },
  'teleportation close': async (context) => {
    await ask(context, 'close_teleportation', { name: context.words[0] });
    return 'Teleportation is closing\n';
  },
  'teleportation list': async (context) => {
    const all = list((await ask(context, 'list_teleportations'))['teleportations']);
    return asciiTable(
      ['NAME', 'TRANSPORT', 'PORTAL', 'SOURCE', 'SINK', 'CHANNELS'],
      all.map(({ name, transport, portal, source, sink, channels }) => [
        text(name),
        text((transport as Json | undefined)?.['peerID']),
        text(portal),
        ends(source),
        ends(sink),
        typeof channels === 'number' ? channels : 0,
      ]),
    );
  },
};

/** Also shows a warning that the daemon has. @throws AwlError as {@link callDaemon} */
export async function ask(context: MeepoContext, action: string, fields: object = {}): Promise<Json> {
  const answer = await callDaemon(context.daemon, action, fields, context.signal);
  const warning = text(answer['warning']);
  if (warning !== '') context.io.stderr(`awl: warning: ${warning}\n`);
  return answer;
}

/** Text that the daemon must have given. @throws AwlError MEEPO_UNAVAILABLE */
export function textOf(value: unknown, what: string): string {
  if (typeof value === 'string') return oneLine(value);
  throw new AwlError('MEEPO_UNAVAILABLE', `the daemon gave no ${what}`);
}
