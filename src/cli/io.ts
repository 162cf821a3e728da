import { closeSync, openSync } from 'node:fs';
import { devNull } from 'node:os';
import { StickyLine } from './sticky-line.js';

/** The edges of the process that a command may touch; tests pass collectors. */
export interface Io {
  /** Results and `--json` lines. */
  stdout(text: string): void;
  /** Everything for the person: errors, warnings. Logs have their own way. */
  stderr(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Width of the terminal in columns, for help. */
  readonly columns: number;
  /** Where standard error is a terminal that can keep a line in place. */
  readonly terminal?: { show(line: string): void; columns(): number };
}

const writeError = (text: string) => void process.stderr.write(text);
const sticky =
  process.stderr.isTTY && process.env['TERM'] !== 'dumb' ? new StickyLine(writeError) : undefined;

/** The real process. */
export const processIo: Io = {
  stdout: (text) => void process.stdout.write(text),
  stderr: (text) => (sticky ? sticky.print(text) : writeError(text)),
  env: process.env,
  columns: process.stdout.columns ?? 80,
  ...(sticky && {
    terminal: { show: (line) => sticky.show(line), columns: () => process.stderr.columns || 80 },
  }),
};

/** Text from anywhere as one line: control characters cannot start a line or drive the terminal. */
export function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** One line of JSON on stdout; bigints and buffers must be converted by the caller. */
export function jsonLine(io: Io, value: object): void {
  io.stdout(`${JSON.stringify(value)}\n`);
}

/**
 * Lets the reader of standard output see its end while the process goes on; everything must be written. Node itself
 * leaves descriptors 0 to 2 open. Nothing else may get the number 1, so the null device takes it.
 */
export function letGoOfStdout(): void {
  if (process.stdout.isTTY) return;
  closeSync(1);
  openSync(devNull, 'w');
}
