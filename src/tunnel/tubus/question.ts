import type { Pace } from './pace.js';

/** Something told again and again until its echo, in growing gaps; a new value is told at once. */
export class Question {
  readonly #pace: Pace;
  #value: number | undefined;
  #attempts = 0;
  #dueAt = Number.NEGATIVE_INFINITY;

  constructor(pace: Pace) {
    this.#pace = pace;
  }

  get dueAt(): number {
    return this.#dueAt;
  }

  isDue(value: number, now: number): boolean {
    return this.#value !== value || now >= this.#dueAt;
  }

  told(value: number, now: number): void {
    this.#attempts = this.#value === value ? this.#attempts + 1 : 1;
    this.#value = value;
    this.#dueAt = now + this.#pace.gap(this.#attempts);
  }
}
