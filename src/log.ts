import { openSync, writeSync } from 'node:fs';

/** plexus' levels, spec a.1. */
export const LOG_LEVELS = ['fatal', 'error', 'warning', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** What every part of awl logs through; `child` prefixes lines with a topic such as a session id. */
export interface Logger {
  fatal(message: string): void;
  error(message: string): void;
  warning(message: string): void;
  info(message: string): void;
  debug(message: string): void;
  trace(message: string): void;
  child(topic: string): Logger;
}

export interface LogOptions {
  readonly level?: LogLevel;
  /** Path to append to; `%p` becomes the process id (plexus). Default: standard error. */
  readonly file?: string;
  /** Where lines go when no file is given; tests pass a collector. */
  readonly write?: (line: string) => void;
  readonly now?: () => Date;
}

const secrets = new Set<string>();

/** Registers a value that no log line may contain from now on; values under 6 characters are not searched for. */
export function redact(secret: string): void {
  if (secret.length >= 6) secrets.add(secret);
}

function clean(text: string): string {
  let out = text;
  for (const secret of secrets) out = out.replaceAll(secret, '[redacted]');
  // Peer text never becomes syntax: control characters cannot start a new line or drive a terminal.
  return out.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/** A logger that writes one line a message: ISO time, level, topic, text. Never to stdout. */
export function createLogger(options: LogOptions = {}): Logger {
  const threshold = LOG_LEVELS.indexOf(options.level ?? 'info');
  const now = options.now ?? (() => new Date());
  const fd = options.file ? openSync(options.file.replaceAll('%p', String(process.pid)), 'a', 0o600) : 2;
  const write =
    options.write ??
    ((line: string) => {
      try {
        writeSync(fd, line);
      } catch {
        // A full disk or closed stderr must not end a session.
      }
    });
  const make = (topic: string): Logger => {
    const at = (level: LogLevel) => (message: string) => {
      if (LOG_LEVELS.indexOf(level) > threshold) return;
      write(`${now().toISOString()} ${level.toUpperCase()} ${topic}${clean(message)}\n`);
    };
    return {
      fatal: at('fatal'),
      error: at('error'),
      warning: at('warning'),
      info: at('info'),
      debug: at('debug'),
      trace: at('trace'),
      child: (name) => make(`${topic}[${clean(name)}] `),
    };
  };
  return make('');
}

/** A logger that drops everything: the library's default. */
export const silentLogger: Logger = createLogger({ write: () => {} });
