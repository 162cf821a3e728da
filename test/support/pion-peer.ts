import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { EventEmitter, on, once } from 'node:events';
import { cpSync, existsSync, readFileSync, renameSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { PION } from './needs.js';
import type { MeepoPeer } from './werift-peer.js';

const SOURCE = resolve(import.meta.dirname, 'pion-peer');

/**
 * The program of `pion-peer/main.go`, built once for each of its states, with Debian's pion and nothing from a network.
 * @param folder a folder of the project that may be lost
 */
export function pionPeer(folder: string, source = SOURCE): string {
  const code = readFileSync(join(source, 'main.go'));
  const program = join(folder, `pion-peer-${createHash('sha256').update(code).digest('hex').slice(0, 16)}`);
  if (existsSync(program)) return program;
  const path = join(folder, 'go');
  // A copy, for Go looks for go.mod from where a folder really is, and wants it below GOPATH.
  const copy = join(path, 'src/awl/pion-peer');
  cpSync(source, copy, { recursive: true });
  const env = {
    ...process.env,
    GO111MODULE: 'off',
    GOPATH: `${path}:${PION}`,
    GOCACHE: join(folder, 'go-cache'),
    GOFLAGS: '',
  };
  const made = `${program}.${process.pid}`;
  execFileSync('go', ['build', '-o', made, '.'], { cwd: copy, env, stdio: 'pipe' });
  renameSync(made, program);
  return program;
}

interface Message {
  readonly do: string;
  readonly sdp?: string;
  readonly label?: string;
  readonly data?: string;
  readonly at?: string;
  readonly socket?: number | undefined;
  readonly error?: string;
}

/** On pion, as the real one: a process of its own, told what to do. */
export class PionPeer implements MeepoPeer {
  onSys: (bytes: Buffer) => void = () => {};
  readonly #child: ChildProcess;
  readonly #heard = new EventEmitter().setMaxListeners(0);
  /** How each listener names its channels. */
  readonly #labels = new Map<string | undefined, () => Promise<string>>();

  /** @param address the only one to gather on; all that are not loopback otherwise */
  constructor(program: string, address?: string) {
    this.#child = spawn(program, address === undefined ? [] : [address], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const { stdout } = this.#child;
    if (stdout) createInterface({ input: stdout }).on('line', (line) => this.#event(JSON.parse(line)));
  }

  #tell(message: Message): void {
    this.#child.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  #event(message: Message): void {
    if (message.do === 'sys') this.onSys(Buffer.from(message.data ?? '', 'base64'));
    else if (message.do === 'accepted') void this.#accepted(message);
    else this.#heard.emit(message.do === 'dialled' ? `dialled ${message.label}` : message.do, message);
  }

  async #accepted({ at, socket }: Message): Promise<void> {
    const label = await this.#labels
      .get(at)?.()
      .catch(() => undefined);
    this.#tell(label === undefined ? { do: 'refuse', socket } : { do: 'open', socket, label });
  }

  async #ask(message: Message, answer: string): Promise<Message> {
    const waiting = once(this.#heard, answer);
    this.#tell(message);
    const [got] = (await waiting) as [Message];
    if (got.error !== undefined) throw new Error(got.error);
    return got;
  }

  async offer(): Promise<string> {
    return (await this.#ask({ do: 'offer' }, 'description')).sdp ?? '';
  }

  async answer(sdp: string): Promise<string> {
    return (await this.#ask({ do: 'answer', sdp }, 'description')).sdp ?? '';
  }

  async answered(sdp: string): Promise<void> {
    const states = on(this.#heard, 'state', { signal: AbortSignal.timeout(20_000) });
    this.#tell({ do: 'answered', sdp });
    for await (const [{ label, error }] of states as AsyncIterable<[Message]>) {
      if (error !== undefined) throw new Error(error);
      if (label === 'connected') return;
    }
  }

  async sendSys(bytes: Buffer): Promise<void> {
    this.#tell({ do: 'sys', data: bytes.toString('base64') });
  }

  async dial(label: string, to: string): Promise<void> {
    await this.#ask({ do: 'dial', label, at: to }, `dialled ${label}`);
  }

  async listen(label: () => Promise<string>): Promise<{ at: string; close: () => void }> {
    const { at = '' } = await this.#ask({ do: 'listen' }, 'listening');
    this.#labels.set(at, label);
    return { at, close: () => {} };
  }

  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.stdin?.end();
    const late = setTimeout(() => this.#child.kill('SIGKILL'), 3_000);
    await ended;
    clearTimeout(late);
  }
}
