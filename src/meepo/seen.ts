/** Remembers the last so many words: whether one comes for the first time. */
export class Seen {
  readonly #words = new Set<string>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  /** True the first time; the oldest is forgotten when there are too many. */
  add(word: string): boolean {
    if (this.#words.has(word)) return false;
    if (this.#words.size >= this.#max) {
      const [oldest = ''] = this.#words;
      this.#words.delete(oldest);
    }
    this.#words.add(word);
    return true;
  }
}
