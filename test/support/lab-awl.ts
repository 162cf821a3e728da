import { join } from 'node:path';
import { parseName } from '../../src/identity/names.js';
import { exportIdentity, trustIdentity } from '../../src/identity/onboarding.js';
import { AWL, AwlProcess } from './awl.js';
import { storedIdentity } from './key-store.js';
import type { Lab } from './lab.js';
import { ROOT } from './lab-mail.js';
import { tempDir } from './tmp.js';

export const NAMES = { a: 'alice@awl.test/laptop', b: 'bob@awl.test/nas' } as const;
const PAYLOAD = join(ROOT, 'scripts/demo-payload.mjs');

/** Two people who trust each other, letters over a folder unless another rendezvous is named, and the lab's roles to run them in. */
export class LabPair {
  readonly #repos: Readonly<Record<'a' | 'b', string>>;
  readonly #letters = tempDir();

  private constructor(repos: Record<'a' | 'b', string>) {
    this.#repos = repos;
  }

  static async make(): Promise<LabPair> {
    const folder = tempDir();
    const repos = { a: join(folder, 'a'), b: join(folder, 'b') };
    for (const who of ['a', 'b'] as const) await storedIdentity(repos[who], parseName(NAMES[who]));
    await trustIdentity(repos.b, await exportIdentity(repos.a, parseName(NAMES.a)));
    await trustIdentity(repos.a, await exportIdentity(repos.b, parseName(NAMES.b)));
    return new LabPair(repos);
  }

  /** Where the letters lie. */
  get letters(): string {
    return this.#letters;
  }

  /** The app repository of one of them; it holds the certificates of both. */
  repo(who: 'a' | 'b'): string {
    return this.#repos[who];
  }

  /** A command line of awl as `who`; what is not said is as a user would leave it. */
  line(who: 'a' | 'b', ...args: string[]): string[] {
    const peer = who === 'a' ? 'b' : 'a';
    const line = [AWL, '--app-id=test', `--app-repo=${this.#repos[who]}`];
    line.push(`--host-info=${NAMES[who]}`, `--peer-info=${NAMES[peer]}`, `--state-dir=${tempDir()}`);
    if (!args.some((arg) => arg.startsWith('--rendezvous='))) line.push(`--file-dir=${this.#letters}`);
    return [...line, ...args];
  }

  /** Starts it in the role of the lab, with --json. */
  start(lab: Lab, role: string, who: 'a' | 'b', ...args: string[]): AwlProcess {
    const line = this.line(who, '--json', '--log-level=debug', ...args);
    return new AwlProcess(lab.spawn(role, process.execPath, line));
  }

  /** A payload that echoes, and one that says hello to it. */
  exec(mode: 'echo' | 'hello'): string[] {
    const args = `'${PAYLOAD}' ${mode} %innerip% %innerport% %peerip% %peerport%`;
    return [`--exec-command=${process.execPath}`, `--exec-args=${args}`];
  }
}
