import { createHash } from 'node:crypto';
import { mkdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { AwlError, errorText } from '../errors.js';

/** `--state-dir`, else `$XDG_STATE_HOME/awl`, else `~/.local/state/awl` (XDG base directories). */
export function stateDirectory(chosen?: string): string {
  if (chosen) return chosen;
  const base = process.env['XDG_STATE_HOME'];
  return join(base?.startsWith('/') ? base : join(homedir(), '.local', 'state'), 'awl');
}

/**
 * Makes the folder 0700 if it is missing.
 * @throws AwlError FILE_WRITE if it cannot be made or others could write there
 */
export function ensureStateDirectory(path: string): string {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new AwlError('FILE_WRITE', `cannot make the state folder ${path}: ${errorText(error)}`, {
      hint: 'name a folder of your own with --state-dir',
      cause: error,
    });
  }
  const stats = statSync(path);
  if ((stats.mode & 0o022) !== 0) {
    throw new AwlError('FILE_WRITE', `others can write to the state folder ${path}`, {
      hint: `chmod go-w ${path}, or name another folder with --state-dir`,
    });
  }
  return path;
}

/** A file-name-safe digest of what tells two acceptors apart. */
export function stateKey(...parts: string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}
