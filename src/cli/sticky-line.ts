/** A terminal whose last line may be one that stays and changes, while other lines are written above it. */
export class StickyLine {
  readonly #write: (text: string) => void;
  #line = '';

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** Shows `line` in place of what was there; an empty one takes it away. */
  show(line: string): void {
    if (line === this.#line) return;
    this.#line = line;
    this.#write(`${CLEAR}${line}`);
  }

  /** Writes whole lines above the one that stays. */
  print(text: string): void {
    if (this.#line === '') this.#write(text);
    else this.#write(`${CLEAR}${text}${text.endsWith('\n') ? this.#line : ''}`);
  }
}

/** Carriage return, then erase to the end of the line (ECMA-48 EL). */
const CLEAR = '\r\x1b[K';
