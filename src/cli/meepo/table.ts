/**
 * An ASCII table as the real one draws it: headers in capitals and centred, cells left, numbers right.
 * @param rows cells as text; numbers stand right
 */
export function asciiTable(
  header: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const widths = header.map((title, i) =>
    Math.max(title.length, ...rows.map((row) => String(row[i] ?? '').length)),
  );
  const rule = `+${widths.map((width) => '-'.repeat(width + 2)).join('+')}+`;
  const line = (cells: readonly string[]) => `|${cells.map((cell) => ` ${cell} `).join('|')}|`;
  const centred = header.map((title, i) => {
    const space = (widths[i] ?? 0) - title.length;
    const left = Math.floor(space / 2);
    return `${' '.repeat(left)}${title}${' '.repeat(space - left)}`;
  });
  const body = rows.map((row) =>
    line(
      row.map((cell, i) =>
        typeof cell === 'number' ? String(cell).padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0),
      ),
    ),
  );
  return [rule, line(centred), rule, ...body, rule, ''].join('\n');
}
