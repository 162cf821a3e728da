import { AwlError } from '../errors.js';
import { parsePartialName } from '../identity/names.js';
import { EndpointProblem, parseLocal, parseServer } from './endpoints.js';
import type { OptionSpec } from './options/spec.js';
import { badValue, type Source } from './source.js';

const YES = new Set(['', 'true', 'yes', 'on', '1']);
const NO = new Set(['false', 'no', 'off', '0']);

/** Longer values are mistakes or attacks; the longest honest one is a list of arguments. */
const VALUE_MAX_CHARS = 32_768;

/** The first plexus generation's numbers for log levels. */
const NUMBERED_LEVELS = ['fatal', 'fatal', 'error', 'warning', 'info', 'debug', 'trace'];

/** `true`, `yes`, `on`, `1` or nothing, and their opposites (what boost reads). */
export function readFlag(text: string): boolean | undefined {
  const word = text.toLowerCase();
  if (YES.has(word)) return true;
  return NO.has(word) ? false : undefined;
}

/** Splits one written value of a repeatable option. */
export function splitValue(option: OptionSpec, text: string): string[] {
  if (!option.separator) return [text];
  return text
    .split(option.separator)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

export function readChoice(option: OptionSpec, text: string): string | undefined {
  const word = text.toLowerCase();
  if (option.choices?.includes(word)) return word;
  return option.name === 'log-level' ? NUMBERED_LEVELS[/^\d$/.test(word) ? Number(word) : -1] : undefined;
}

function checkNumber(option: OptionSpec, text: string, source: Source): void {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = option;
  const whole = option.type === 'int';
  const value = (whole ? /^\d{1,15}$/ : /^\d{1,15}(?:\.\d{1,3})?$/).test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return;
  const unit = whole ? 'a whole number' : 'a number of seconds';
  throw badValue(source, `is "${text}"`, `write ${unit} from ${min} to ${max}`);
}

function checkPast(option: OptionSpec, text: string, source: Source): void {
  const only = option.only;
  if (!only || text === '' || only.includes(text)) return;
  const problem = only.length > 0 ? `cannot be "${text}"` : 'is a plexus option that awl does not have';
  throw badValue(source, problem, option.instead ?? 'leave it out');
}

function checkOne(option: OptionSpec, text: string, source: Source): void {
  switch (option.type) {
    case 'flag':
      if (readFlag(text) === undefined) throw badValue(source, `is "${text}"`, 'write true or false');
      return;
    case 'int':
    case 'seconds':
      checkNumber(option, text, source);
      return;
    case 'choice':
      if (readChoice(option, text) === undefined) {
        throw badValue(source, `cannot be "${text}"`, `choose one of ${option.choices?.join(', ')}`);
      }
      return;
    case 'server':
    case 'local':
      readEndpoint(() => parseEither(option, text), source, option);
      return;
    case 'name':
      // A pin alone is settled later, when --email-from and --email-login are known.
      parsePartialName(text.includes('/') ? text : `/${text}`);
      return;
    default:
      checkPast(option, text, source);
  }
}

function parseEither(option: OptionSpec, text: string) {
  const port = option.defaultPort ?? 0;
  return option.type === 'server' ? parseServer(text, port) : parseLocal(text, port);
}

function readEndpoint<T>(read: () => T, source: Source, option: OptionSpec): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof EndpointProblem)) throw error;
    const example = option.type === 'server' ? 'host.example.org:3478' : '192.0.2.1:0';
    throw badValue(source, error.message, `write it as ${example}, an IPv6 address as [2001:db8::1]:3478`);
  }
}

/**
 * Checks one written value against its row, so that a mistake is reported where it was made.
 * @throws AwlError USAGE_BAD_VALUE or CONFIG_SYNTAX naming the place, IDENTITY_NAME
 */
export function checkValue(option: OptionSpec, text: string, source: Source): void {
  if (text.includes('\0') || text.length > VALUE_MAX_CHARS) {
    const problem = text.includes('\0') ? 'holds a NUL character' : `is ${text.length} characters long`;
    throw badValue(source, problem, `write at most ${VALUE_MAX_CHARS} characters of text`);
  }
  if (text === '' && !option.allowEmpty && option.type !== 'flag' && !option.only) {
    throw badValue(source, 'is empty', `give it a value: ${option.placeholder ?? 'VALUE'}`);
  }
  if (text === '' && option.type !== 'flag') return;
  const parts = splitValue(option, text);
  if (parts.length === 0) throw badValue(source, 'names nothing', 'remove the stray separators');
  for (const part of parts) {
    try {
      checkOne(option, part, source);
    } catch (error) {
      if (!(error instanceof AwlError) || error.code !== 'IDENTITY_NAME') throw error;
      throw badValue(source, `is wrong: ${error.message}`, error.hint ?? 'write it as owner/pin');
    }
  }
}
