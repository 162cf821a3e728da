import { lstat, open, rm } from 'node:fs/promises';
import { IDENTITY_FILE_MAX_BYTES } from '../constants.js';
import { AwlError, errorText } from '../errors.js';

function exists(path: string): AwlError {
  return new AwlError('FILE_EXISTS', `${path} is already there`, { hint: 'name another file with --out' });
}

/** @throws AwlError FILE_EXISTS if there is anything of that name */
export async function refuseExisting(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found) throw exists(path);
}

/** Writes a file that must not be there yet; on failure nothing half-written stays. */
export async function writeNewFile(path: string, data: string): Promise<void> {
  const failed = (cause: unknown) =>
    new AwlError('FILE_WRITE', `cannot write ${path}: ${errorText(cause)}`, {
      hint: 'name a place where you may write with --out',
      cause,
    });
  const handle = await open(path, 'wx', 0o644).catch((cause: unknown) => {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EEXIST') throw exists(path);
    throw failed(cause);
  });
  try {
    await handle.writeFile(data);
  } catch (cause) {
    await rm(path, { force: true });
    throw failed(cause);
  } finally {
    await handle.close();
  }
}

/** Reads a source to its end, but never more than one identity can be. */
export async function collectBundle(
  source: AsyncIterable<Uint8Array | string>,
  what: string,
): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const chunk of source) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      chunks.push(bytes);
      size += bytes.length;
      // One byte too many is enough for the reader to refuse it by name.
      if (size > IDENTITY_FILE_MAX_BYTES) break;
    }
  } catch (cause) {
    throw new AwlError('IDENTITY_MISSING', `cannot read ${what}: ${errorText(cause)}`, {
      hint: 'name the file that your peer made with awl id export, or - for standard input',
      cause,
    });
  }
  return Buffer.concat(chunks).toString('utf8');
}
