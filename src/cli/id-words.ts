import { parseArgs } from 'node:util';
import { AwlError, errorText } from '../errors.js';
import { oneLine } from './io.js';

/** The forms of the command, as hints print them. */
export const ID_USAGE =
  'awl id init owner/pin [--bits N] [--out FILE] | export [owner/pin] [--out FILE] | trust FILE|- [--as owner/pin] [--replace] | list [--long]';

type Values = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/** Options and words of one `awl id` command; more than `most` words are refused. */
export function parseWords(
  args: string[],
  options: Record<string, { type: 'string' | 'boolean' }>,
  most: number,
): { readonly values: Values; readonly words: readonly string[] } {
  let parsed: { readonly values: Values; readonly positionals: readonly string[] };
  try {
    parsed = parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (cause) {
    const unknown =
      cause instanceof Error && 'code' in cause && cause.code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION';
    // Node goes on to explain "--"; the first sentence names the option.
    const sentence = oneLine(errorText(cause)).split('. ')[0] ?? '';
    throw new AwlError(unknown ? 'USAGE_UNKNOWN_OPTION' : 'USAGE_BAD_VALUE', sentence, {
      hint: ID_USAGE,
      cause,
    });
  }
  const extra = parsed.positionals[most];
  if (extra !== undefined) {
    throw new AwlError('USAGE_BAD_VALUE', `awl id does not know what to do with "${oneLine(extra)}"`, {
      hint: ID_USAGE,
    });
  }
  return { values: parsed.values, words: parsed.positionals };
}

export function textValue(value: Values[string]): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function requiredWord(word: string | undefined, message: string): string {
  if (word) return word;
  throw new AwlError('USAGE_MISSING', message, { hint: ID_USAGE });
}
