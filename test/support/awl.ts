import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { AwlEvent } from '../../src/session/events.js';
import { ROOT } from './lab-mail.js';

export const AWL = join(ROOT, 'dist/cli/main.js');
if (!existsSync(AWL)) throw new Error(`${AWL} is missing: npm run build`);

/** A running awl with `--json`: its events, what else it printed, and its end. */
export class AwlProcess {
  readonly events: (AwlEvent & { readonly at: number })[] = [];
  readonly ended: Promise<number | null>;
  output = '';
  readonly #child: ChildProcess;

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
    this.ended = new Promise((resolve) => child.once('close', (status) => resolve(status)));
  }

  #line(line: string): void {
    try {
      this.events.push({ ...(JSON.parse(line) as AwlEvent), at: performance.now() });
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

  find<E extends AwlEvent['event']>(name: E): (Extract<AwlEvent, { event: E }> & { at: number }) | undefined {
    return this.events.find((event) => event.event === name) as
      | (Extract<AwlEvent, { event: E }> & { at: number })
      | undefined;
  }

  /** Waits for an event; fails at once, with what was printed, if the process ends before. */
  async event<E extends AwlEvent['event']>(name: E, ms = 30_000) {
    const limit = performance.now() + ms;
    let over = false;
    void this.ended.then(() => {
      over = true;
    });
    for (;;) {
      const found = this.find(name);
      if (found) return found;
      if (over || performance.now() > limit) {
        throw new Error(`no event ${name} within ${ms} ms${over ? ' (ended)' : ''}\n${this.output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
