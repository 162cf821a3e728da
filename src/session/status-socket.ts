import { randomBytes } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { AwlError, errorText } from '../errors.js';
import { type HubStatus, readHubStatus } from './hub-status.js';
import type { ProcessStatus } from './status.js';

/** Where `awl status` finds the processes of one user. */
const FOLDER = 'status';
const SUFFIX = '.sock';
/** sun_path of unix(7), less the final zero. */
const PATH_BYTES = 107;
const ASKING_AT_ONCE = 8;
/** A process with 1024 sessions says about 1 MB. */
const ANSWER_BYTES = 4 * 1024 * 1024;
const ANSWER_MS = 2_000;
/** More sockets than this in one folder is somebody's mistake. */
const PROCESSES_MAX = 256;

export interface StatusServer {
  readonly path: string;
  close(): Promise<void>;
}

/**
 * Answers everybody who connects to this process' socket with one JSON text and hangs up. The folder is 0700 and the
 * socket 0600, so everybody is the same user, or root.
 * @param state the state folder
 * @throws AwlError FILE_WRITE
 */
export async function serveStatus(
  state: string,
  read: () => ProcessStatus | HubStatus,
): Promise<StatusServer> {
  const folder = safeFolder(state, true);
  const path = join(folder ?? state, `${process.pid}-${randomBytes(4).toString('hex')}${SUFFIX}`);
  if (Buffer.byteLength(path) > PATH_BYTES) {
    throw new AwlError('FILE_WRITE', `the name of the status socket ${path} is too long`, {
      hint: 'name a folder with a shorter name with --state-dir',
    });
  }
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.setTimeout(ANSWER_MS, () => socket.destroy());
    socket.resume().end(JSON.stringify(read()));
  });
  server.maxConnections = ASKING_AT_ONCE;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(new AwlError('FILE_WRITE', `cannot listen on ${path}: ${errorText(cause)}`, { cause }));
    });
    server.listen(path, resolve);
  });
  server.removeAllListeners('error').on('error', () => {});
  chmodSync(path, 0o600);
  // A process that only answers questions has nothing left to do.
  server.unref();
  return { path, close: () => new Promise((resolve) => server.close(() => resolve())) };
}

/**
 * Asks every process whose socket is in the state folder. Sockets that nobody listens on any more are removed;
 * what does not answer in time, or nonsense, is left out.
 * @throws AwlError FILE_WRITE if others could have put sockets there
 */
export async function askStatus(state: string): Promise<(ProcessStatus | HubStatus)[]> {
  const folder = safeFolder(state, false);
  if (folder === undefined) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith(SUFFIX));
  const answers = await Promise.all(names.slice(0, PROCESSES_MAX).map((name) => ask(join(folder, name))));
  return answers.flatMap((answer) => answer ?? []).sort((a, b) => a.pid - b.pid);
}

function ask(path: string): Promise<ProcessStatus | HubStatus | undefined> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let bytes = 0;
    const socket = connect({ path });
    const giveUp = () => {
      socket.destroy();
      resolve(undefined);
    };
    socket.setTimeout(ANSWER_MS, giveUp);
    const limit = setTimeout(giveUp, 2 * ANSWER_MS);
    socket.once('close', () => clearTimeout(limit));
    socket.on('data', (data) => {
      bytes += data.length;
      parts.push(data);
      if (bytes > ANSWER_BYTES) giveUp();
    });
    socket.once('end', () => resolve(parse(Buffer.concat(parts).toString())));
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED') removeSocket(path);
      resolve(undefined);
    });
  });
}

/** Undefined for what another version may say in a way that cannot be shown. */
function parse(text: string): ProcessStatus | HubStatus | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isStatus(value) ? value : readHubStatus(value);
  } catch {
    return undefined;
  }
}

function isStatus(value: unknown): value is ProcessStatus {
  const { sessions, listening, ...rest } = value as Partial<ProcessStatus>;
  const texts = ['mode', 'app', 'host', 'peer'] as const;
  const numbers = ['pid', 'upMs', 'passages', 'failures', 'refusals'] as const;
  return (
    texts.every((name) => typeof rest[name] === 'string') &&
    numbers.every((name) => typeof rest[name] === 'number') &&
    Array.isArray(listening) &&
    Array.isArray(sessions) &&
    sessions.every(({ session, peer, state }) =>
      [session, peer, state].every((one) => typeof one === 'string'),
    )
  );
}

function removeSocket(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch {
    // Somebody else removed it.
  }
}

/** The folder if it is ours alone; undefined if it is missing and shall not be made. */
function safeFolder(state: string, make: boolean): string | undefined {
  const folder = join(state, FOLDER);
  try {
    if (make) mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { mode, uid } = lstatSync(folder);
    const ours = process.getuid === undefined || uid === process.getuid();
    if ((mode & 0o170_777) === 0o040_700 && ours) return folder;
  } catch (error) {
    if (!make && error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new AwlError('FILE_WRITE', `cannot use the folder ${folder}: ${errorText(error)}`, {
      hint: 'name a folder of your own with --state-dir',
      cause: error,
    });
  }
  throw new AwlError('FILE_WRITE', `the folder ${folder} is not a folder of yours alone`, {
    hint: `remove it, or run: chmod 700 ${folder}`,
  });
}
