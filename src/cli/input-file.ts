import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { homedir } from 'node:os';
import { AwlError, errorText } from '../errors.js';
import { oneLine } from './io.js';

export interface InputFile {
  readonly text: string;
  /** True if users other than the owner may read it. */
  readonly exposed: boolean;
}

/** `<(command)` of shells gives such a path: a pipe whose other end is being written. */
const DESCRIPTOR_PATH = /^\/dev\/(?:fd\/\d+|stdin)$|^\/proc\/self\/fd\/\d+$/;

/** `~/x` as the shell reads it; it does not do so behind `--option=`, where the plexus documentation uses it. */
export function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? homedir() + path.slice(1) : path;
}

function readAll(fd: number, max: number): Buffer | undefined {
  const buffer = Buffer.alloc(max + 1);
  let length = 0;
  for (;;) {
    const got = readSync(fd, buffer, length, buffer.length - length, null);
    if (got === 0) return buffer.subarray(0, length);
    length += got;
    if (length === buffer.length) return undefined;
  }
}

/**
 * Reads a whole text file that the user named, but never endlessly: no device, no FIFO without a writer, at most
 * `max` bytes, only UTF-8.
 * @param what how messages call it, for example `the configuration`
 * @throws AwlError CONFIG_UNREADABLE
 */
export function readInputFile(name: string, what: string, max: number): InputFile {
  const path = expandHome(name);
  const fail = (problem: string, cause?: unknown) =>
    new AwlError('CONFIG_UNREADABLE', `cannot read ${what} ${oneLine(name)}: ${problem}`, {
      hint: 'check the path, and that you may read it',
      cause,
    });
  const isPipe = DESCRIPTOR_PATH.test(path);
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | (isPipe ? 0 : constants.O_NONBLOCK));
    const stats = fstatSync(fd);
    if (!stats.isFile() && !isPipe) throw fail('it is no regular file');
    const bytes = readAll(fd, max);
    if (!bytes) throw fail(`it is larger than ${Math.round(max / 1024)} KiB`);
    return {
      text: new TextDecoder('utf-8', { fatal: true }).decode(bytes),
      exposed: stats.isFile() && (stats.mode & 0o077) !== 0,
    };
  } catch (error) {
    if (error instanceof AwlError) throw error;
    throw fail(error instanceof TypeError ? 'it is not UTF-8 text' : errorText(error), error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** The first line, where a file or a command holds one secret. */
export function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? '';
}
