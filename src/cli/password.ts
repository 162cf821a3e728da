import { spawn } from 'node:child_process';
import { PASSWORD_COMMAND_MS } from '../constants.js';
import { AwlError, errorText } from '../errors.js';
import { tokenize } from '../launch/tokenize.js';
import { redact } from '../log.js';
import { deadline } from '../util/sleep.js';
import { expandHome, firstLine, readInputFile } from './input-file.js';
import { oneLine } from './io.js';
import type { OptionValues } from './values.js';

const PASSWORD_MAX_BYTES = 4096;

/** The mail password from where it was given, kept out of logs from now on. */
export interface Password {
  readonly value: string;
  readonly warning?: string;
}

/**
 * Finds the mail password: given itself (option, environment, configuration), in a file, or printed by a command.
 * @returns undefined if the user named none of them
 * @throws AwlError CONFIG_UNREADABLE, USAGE_BAD_VALUE
 */
export async function findPassword(
  values: OptionValues,
  signal?: AbortSignal,
): Promise<Password | undefined> {
  const password = await locate(values, signal);
  if (!password) return undefined;
  if (password.value === '') {
    throw new AwlError('CONFIG_UNREADABLE', 'the mail password is empty', {
      hint: 'the first line of the file, or of what the command prints, must be the password',
    });
  }
  redact(password.value);
  return password;
}

async function locate(values: OptionValues, signal?: AbortSignal): Promise<Password | undefined> {
  const text = values.text('email-password');
  if (text !== undefined) {
    const typed = values.written('email-password').at(-1)?.source;
    if (typed?.kind !== 'argv') return { value: text };
    return {
      value: text,
      warning: `other users can read --${typed.as} in the process list; --email-password-file hides it`,
    };
  }
  const file = values.text('email-password-file');
  if (file !== undefined) {
    const { text: content, exposed } = readInputFile(file, 'the password file', PASSWORD_MAX_BYTES);
    if (!exposed) return { value: firstLine(content) };
    return { value: firstLine(content), warning: `others may read ${oneLine(file)}; chmod 600 it` };
  }
  const command = values.text('email-password-command');
  return command === undefined ? undefined : { value: firstLine(await run(command, signal)) };
}

function failure(problem: string, cause?: unknown): AwlError {
  return new AwlError('CONFIG_UNREADABLE', `--email-password-command ${problem}`, {
    hint: 'run the command by hand; its first line of output must be the password',
    cause,
  });
}

/** Runs the command without a shell; what it says on stderr is the user's to read, and pinentry needs our terminal. */
function run(command: string, signal?: AbortSignal): Promise<string> {
  const [program, ...args] = tokenize(command, '--email-password-command');
  if (program === undefined) throw failure('names no program');
  const limit = deadline(
    PASSWORD_COMMAND_MS,
    () => failure(`took longer than ${PASSWORD_COMMAND_MS / 1000} s`),
    signal,
  );
  const child = spawn(expandHome(program), args, {
    stdio: ['inherit', 'pipe', 'inherit'],
    signal: limit.signal,
    killSignal: 'SIGKILL',
  });
  return new Promise<string>((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= PASSWORD_MAX_BYTES) chunks.push(chunk);
    });
    child.once('error', (error) => {
      // A grandchild may still hold the pipe: do not wait for its end.
      child.stdout.destroy();
      reject(
        limit.signal.aborted ? limit.signal.reason : failure(`cannot start: ${errorText(error)}`, error),
      );
    });
    child.once('close', (status, name) => {
      if (status !== 0) return reject(failure(`ended with ${name ?? `status ${status}`}`));
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
  }).finally(() => limit.dispose());
}
