import { join } from 'node:path';
import { parseName } from '../../src/identity/names.js';
import { exportIdentity, trustIdentity } from '../../src/identity/onboarding.js';
import { AWL, AwlProcess } from './awl.js';
import { storedIdentity } from './key-store.js';
import type { Lab } from './lab.js';
import { ROOT } from './lab-mail.js';
import { tempDir } from './tmp.js';

type Names = Readonly<Record<'a' | 'b', string>>;

export const NAMES = { a: 'alice@awl.test/laptop', b: 'bob@awl.test/nas' } as const;
const PAYLOAD = join(ROOT, 'scripts/demo-payload.mjs');

/** Two people who trust each other, letters over a folder unless another rendezvous is named, and the lab's roles to run them in. */
export class LabPair {
  readonly #names: Names;
  readonly #repos: Readonly<Record<'a' | 'b', string>>;
  readonly #letters = tempDir();

  private constructor(names: Names, repos: Record<'a' | 'b', string>) {
    this.#names = names;
    this.#repos = repos;
  }

  static async make(names: Names = NAMES): Promise<LabPair> {
    const folder = tempDir();
    const repos = { a: join(folder, 'a'), b: join(folder, 'b') };
    for (const who of ['a', 'b'] as const) await storedIdentity(repos[who], parseName(names[who]));
    await trustIdentity(repos.b, await exportIdentity(repos.a, parseName(names.a)));
    await trustIdentity(repos.a, await exportIdentity(repos.b, parseName(names.b)));
    return new LabPair(names, repos);
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
    const line = [AWL, `--app-repo=${this.#repos[who]}`, `--state-dir=${tempDir()}`];
    line.push(`--host-info=${this.#names[who]}`, `--peer-info=${this.#names[peer]}`);
    if (!args.some((arg) => arg.startsWith('--app-id='))) line.push('--app-id=test');
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
