/** Text as roff: backslashes and dashes are themselves, and no line can begin with a request. */
export function escapeRoff(text: string): string {
  const plain = text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('"', '\\(dq');
  return plain.replace(/^([.'])/gm, '\\&$1');
}

/** A page in man(7) macros, put together in the order in which it reads. */
export class ManPage {
  readonly #lines: string[];

  constructor(name: string, section: number, summary: string) {
    this.#lines = [
      '.\\" Made from the option table by scripts/make-docs.mjs; changes here are lost.',
      `.TH ${name.toUpperCase().replaceAll('-', '\\-')} ${section} "" awl "awl manual"`,
      '.SH NAME',
      `${escapeRoff(name)} \\- ${escapeRoff(summary)}`,
    ];
  }

  section(title: string): this {
    this.#lines.push(`.SH ${title.toUpperCase()}`);
    return this;
  }

  subsection(title: string): this {
    this.#lines.push(`.SS ${escapeRoff(title)}`);
    return this;
  }

  paragraph(text: string): this {
    this.#lines.push('.PP', escapeRoff(text));
    return this;
  }

  /** A term in bold, indented explanation below. */
  entry(term: string, ...paragraphs: string[]): this {
    const [first = '', ...rest] = paragraphs;
    this.#lines.push('.TP', `\\fB${escapeRoff(term)}\\fR`, escapeRoff(first));
    for (const text of rest) this.#lines.push('.IP', escapeRoff(text));
    return this;
  }

  /** Lines as they are, in the constant-width font where there is one. */
  verbatim(lines: readonly string[]): this {
    this.#lines.push('.PP', '.nf', '.RS 4', ...lines.map(escapeRoff), '.RE', '.fi');
    return this;
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}
