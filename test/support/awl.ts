import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { AwlEvent } from '../../src/session/events.js';
import { ROOT } from './lab-mail.js';

export const AWL = join(ROOT, 'dist/cli/main.js');
if (!existsSync(AWL)) throw new Error(`${AWL} is missing: npm run build`);

/** A child that prints a line of JSON for whatever happens: its lines, what else it printed, and its end. */
export class JsonProcess<L extends { readonly event: string }> {
  readonly lines: (L & { readonly at: number })[] = [];
  readonly ended: Promise<number | null>;
  output = '';
  readonly #child: ChildProcess;
  #over = false;

  constructor(child: ChildProcess) {
    this.#child = child;
    let rest = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      rest += text;
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#line(line);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
    });
    this.ended = new Promise((resolve) =>
      child.once('close', (status) => {
        this.#over = true;
        resolve(status);
      }),
    );
  }

  #line(line: string): void {
    try {
      this.lines.push({ ...(JSON.parse(line) as L), at: performance.now() });
    } catch {
      this.output += `${line}\n`;
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  stop(signal: NodeJS.Signals = 'SIGTERM'): void {
    this.#child.kill(signal);
  }

  all(event: string): (L & { readonly at: number })[] {
    return this.lines.filter((line) => line.event === event);
  }

  /** Waits for the `count`th event of that name; fails at once, with what was printed, if the process ends before. */
  async nth(event: string, count: number, ms = 30_000): Promise<L & { readonly at: number }> {
    const limit = performance.now() + ms;
    for (;;) {
      const found = this.all(event)[count - 1];
      if (found) return found;
      if (this.#over || performance.now() > limit) {
        const seen = this.lines.map((line) => line.event).join(', ') || 'nothing';
        const over = this.#over ? ' (ended)' : '';
        throw new Error(`no event ${event} (${count}) within ${ms} ms${over}; seen: ${seen}\n${this.output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

/** A running awl with `--json`. */
export class AwlProcess extends JsonProcess<AwlEvent> {
  get events() {
    return this.lines;
  }

  find<E extends AwlEvent['event']>(name: E): (Extract<AwlEvent, { event: E }> & { at: number }) | undefined {
    return this.all(name)[0] as (Extract<AwlEvent, { event: E }> & { at: number }) | undefined;
  }

  /** Waits for the first event of that name, as {@link nth}. */
  async event<E extends AwlEvent['event']>(name: E, ms = 30_000) {
    return (await this.nth(name, 1, ms)) as Extract<AwlEvent, { event: E }> & { at: number };
  }
}
