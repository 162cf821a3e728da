import { closeSync, constants, openSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { AwlError, errorText } from '../errors.js';

/**
 * Where a payload without `--exec-log` reads and writes.
 * - `inherit`: our own three streams; for a program that a person sits at.
 * - `quiet`: nothing to read; what it prints goes to our stderr, because our stdout carries data.
 */
export type StdioMode = 'inherit' | 'quiet';

/** File descriptors for stdin, stdout and stderr of a child. */
export interface Streams {
  readonly stdio: ['ignore' | 0, 'ignore' | number, 'ignore' | number];
  /** Closes our copies; the child keeps its own. */
  close(): Promise<void>;
}

// NONBLOCK so that a FIFO without reader is an error and not an endless wait; regular files ignore it.
const LOG_FLAGS =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW | constants.O_NONBLOCK;

async function openLog(file: string): Promise<FileHandle> {
  const fail = (problem: string, hint: string, cause?: unknown) =>
    new AwlError('PAYLOAD_START', `cannot write --exec-log ${file}: ${problem}`, { hint, cause });
  let handle: FileHandle;
  try {
    handle = await open(file, LOG_FLAGS, 0o600);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ELOOP') {
      throw fail(
        'it is a symbolic link',
        'name the file itself, so that nobody else can choose what is written to',
        error,
      );
    }
    throw fail(
      errorText(error),
      'its folder must exist and be writable; a relative path starts at --exec-pwd',
      error,
    );
  }
  const stat = await handle.stat();
  if (stat.isFile() || stat.isCharacterDevice()) return handle;
  await handle.close();
  throw fail('it is not a regular file', 'name a file to append to');
}

/**
 * Opens what the payload reads and writes. With a log: nothing to read, stdout and stderr appended to the file
 * (created 0600). Detached without a log: nowhere, since our streams may go away before it does.
 * @throws AwlError PAYLOAD_START
 */
export async function openStreams(o: {
  readonly log?: string | undefined;
  readonly pwd?: string | undefined;
  readonly detach?: boolean | undefined;
  readonly mode: StdioMode;
}): Promise<Streams> {
  const close = async () => {};
  if (o.log) {
    const handle = await openLog(resolve(o.pwd ?? '.', o.log));
    return { stdio: ['ignore', handle.fd, handle.fd], close: () => handle.close() };
  }
  if (o.detach) return { stdio: ['ignore', 'ignore', 'ignore'], close };
  return { stdio: o.mode === 'inherit' ? [0, 1, 2] : ['ignore', 2, 2], close };
}

/** True if this process has a terminal of its own: Ctrl-C there reaches its whole foreground process group. */
export function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', constants.O_RDWR | constants.O_NOCTTY));
    return true;
  } catch {
    return false;
  }
}
