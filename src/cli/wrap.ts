/** Breaks text at blanks into lines of at most `width` characters; longer words stand alone. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  if (line !== '') lines.push(line);
  return lines;
}

/** A term in one column and its wrapped explanation in the next, which begins on a new line if the term is long. */
export function definition(term: string, text: string, column: number, width: number): string {
  const lines = wrap(text, width - column);
  const indent = ' '.repeat(column);
  const head = `  ${term}`;
  const fits = head.length + 2 <= column;
  const first = fits ? `${head.padEnd(column)}${lines[0] ?? ''}` : head;
  const rest = fits ? lines.slice(1) : lines;
  return `${[first, ...rest.map((line) => indent + line)].join('\n')}\n`;
}
