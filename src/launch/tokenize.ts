import { AwlError } from '../errors.js';

function bad(option: string, problem: string, hint: string): AwlError {
  return new AwlError('USAGE_BAD_VALUE', `${option} ${problem}`, { hint });
}

/**
 * Splits argument text into tokens as plexus does (spec a.3): blanks and tabs separate; `'` and `"` quote; a
 * backslash, inside quotes too, makes a blank, tab, quote or backslash literal, and `\n` is a newline. Empty tokens
 * are dropped, also `''`. Nothing else is special: this is no shell. Unlike plexus, a quote is closed by its own
 * kind only, so that `"it's"` is one token.
 *
 * @param option how the user calls the text, for errors
 * @throws AwlError USAGE_BAD_VALUE for an open quote, an unknown escape or a NUL
 */
export function tokenize(text: string, option = '--exec-args'): string[] {
  const tokens: string[] = [];
  let token = '';
  let quote = '';
  const flush = () => {
    if (token !== '') tokens.push(token);
    token = '';
  };
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (char === '\0')
      throw bad(option, 'holds a NUL character', 'no program can take one as an argument; remove it');
    if (char === '\\') token += escaped(text.charAt(++i), option);
    else if (quote !== '') {
      if (char === quote) quote = '';
      else token += char;
    } else if (char === '"' || char === "'") quote = char;
    else if (char === ' ' || char === '\t') flush();
    else token += char;
  }
  if (quote !== '')
    throw bad(option, `has an open ${quote}`, `close it, or write \\${quote} for the character itself`);
  flush();
  return tokens;
}

function escaped(char: string, option: string): string {
  if (char === 'n') return '\n';
  if (char !== '' && ' \t\'"\\'.includes(char)) return char;
  throw bad(
    option,
    char === '' ? 'ends with a lone backslash' : `has the unknown escape \\${char}`,
    'write \\\\ for a backslash',
  );
}
