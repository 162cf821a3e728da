import { AwlError, errorText } from '../errors.js';

/** The code of a failed system call, such as ENOENT; empty for anything else. */
export function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** "EACCES: permission denied", without the path that Node appends: ours go through descriptors and say nothing. */
export function systemReason(error: unknown): string {
  const text = errorText(error);
  return /^[A-Z0-9]+: [^,]+/.exec(text)?.[0] ?? text;
}

export function unsafe(message: string, hint: string): AwlError {
  return new AwlError('IDENTITY_UNSAFE', message, { hint });
}

export function notWritten(path: string, error: unknown): AwlError {
  return new AwlError('FILE_WRITE', `cannot write ${path}: ${systemReason(error)}`, {
    hint: 'give yourself the right to write there, or name another place',
    cause: error,
  });
}

/** Mode bits as chmod writes them. */
export function octal(mode: number): string {
  return `0${(mode & 0o7777).toString(8)}`;
}

/** A path as a shell takes it, for hints that are made to be copied. */
export function shellWord(path: string): string {
  return /^[\w@%+=:,./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
