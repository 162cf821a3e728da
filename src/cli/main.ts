#!/usr/bin/env node
import { AwlError } from '../errors.js';
import { processIo } from './io.js';
import { report, run } from './run.js';

/** How long open handles may keep a finished call alive. */
const LINGER_MS = 2000;

const argv = process.argv.slice(2);
const controller = new AbortController();

const STOPS = { SIGINT: 'ABORTED', SIGTERM: 'TERMINATED' } as const;

function stop(name: keyof typeof STOPS): void {
  const error = new AwlError(STOPS[name], `stopped by ${name}`);
  // The second signal is from somebody who does not want to wait for the clean end.
  if (controller.signal.aborted) process.exit(error.exitCode);
  controller.abort(error);
}

for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => stop(name));

let outputGone = false;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // Whoever read our output has gone: `awl --help | head -1` is no error, and a session ends cleanly.
  if (error.code !== 'EPIPE') throw error;
  outputGone = true;
  controller.abort(new AwlError('ABORTED', 'nobody reads standard output any more'));
});
process.stderr.on('error', () => {});

function crash(error: unknown): void {
  process.exit(report(error, argv, processIo));
}
process.on('uncaughtException', crash);
process.on('unhandledRejection', crash);

const status = await run(argv, processIo, controller.signal);
process.exitCode = outputGone ? 0 : status;
setTimeout(() => process.exit(), LINGER_MS).unref();
