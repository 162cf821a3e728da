// What systemd and cron make of a line, written from their manuals and not from src/cli/service-text.ts.

const LETTERS: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  s: ' ',
  '\\': '\\',
  '"': '"',
  "'": "'",
};

/** Words of `ExecStart=` as systemd.syntax(7) and systemd.service(5) read them: quotes, C escapes, `%%`, `$$`. */
export function systemdWords(line: string): string[] {
  const bytes: number[][] = [];
  let word: number[] | undefined;
  let quote = '';
  for (let i = 0; i < line.length; i++) {
    const c = line[i] ?? '';
    if (c === '\\') {
      word ??= [];
      const next = line[++i] ?? '';
      if (next === 'x') {
        word.push(Number.parseInt(line.slice(i + 1, i + 3), 16));
        i += 2;
      } else {
        const meant = LETTERS[next];
        if (meant === undefined) throw new Error(`systemd knows no escape \\${next}`);
        word.push(...Buffer.from(meant));
      }
    } else if (quote === '' && (c === '"' || c === "'") && word === undefined) {
      quote = c;
      word = [];
    } else if (c === quote && quote !== '') {
      quote = '';
    } else if (quote === '' && /\s/.test(c)) {
      if (word) bytes.push(word);
      word = undefined;
    } else {
      const whole = String.fromCodePoint(line.codePointAt(i) ?? 0);
      i += whole.length - 1;
      word ??= [];
      word.push(...Buffer.from(whole));
    }
  }
  if (quote !== '') throw new Error('an open quote');
  if (word) bytes.push(word);
  return bytes.map((one, index) => {
    const text = Buffer.from(one).toString('utf8');
    if (/^;$/.test(text) && /(^|\s);(\s|$)/.test(line)) throw new Error('; would end the command');
    const plain = text.replace(/%(.?)/gs, (_, next: string) => {
      if (next !== '%') throw new Error(`specifier %${next}`);
      return '%';
    });
    // The program's own path is not searched for variables.
    if (index === 0) return plain;
    return plain.replace(/\$(.?)/gs, (_, next: string) => {
      if (next !== '$') throw new Error(`variable $${next}`);
      return '$';
    });
  });
}

/** What cron hands to /bin/sh: up to the first `%` without a backslash, whose backslash it takes away elsewhere. */
export function cronCommand(text: string): string {
  let out = '';
  let escaped = false;
  for (const c of text) {
    if (escaped) {
      if (c === '%') out = out.slice(0, -1);
      escaped = false;
    } else if (c === '\\') {
      escaped = true;
    } else if (c === '%') {
      throw new Error('cron would end the command at %');
    }
    out += c;
  }
  return out;
}

/** The values of a key in a unit file; a line that ends in a backslash goes on in the next. */
export function unitValues(text: string, key: string): string[] {
  return text
    .replace(/\\\n/g, ' ')
    .split('\n')
    .filter((line) => line.startsWith(`${key}=`))
    .map((line) => line.slice(key.length + 1));
}
