import type { ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { meepoKeys } from '../../src/wire/meepo/keys.js';
import { formatKeyFile } from '../../src/wire/meepo/openssh.js';
import { AWL } from './awl.js';
import { Lab, type LabOptions } from './lab.js';
import { tempDir } from './tmp.js';

const WEB_PORT = 8000;
/** What the service beside B says. */
export const LINES = 600;
/** Says a numbered line every few milliseconds; which of them came, and in which order, shows a gap. */
const SPEAKER = `
  require('net').createServer((s) => {
    let n = 0;
    s.on('error', () => {});
    const timer = setInterval(() => {
      s.write(n++ + '\\n');
      if (n === ${LINES}) { clearInterval(timer); s.end(); }
    }, 10);
  }).listen(${WEB_PORT}, '127.0.0.1', () => console.log('ready'));`;

/** The server's address in every lab: STUN, and Redis or a node of an own HyperDHT. */
export const SERVER = '192.0.2.10';

/** What a test adds to the configuration of its nodes. */
export interface LabMeepoConfig {
  readonly iceServers?: readonly string[];
  readonly portMapping?: boolean;
}

/** A daemon of awl meepo in a role of a lab, and commands for it. */
export class LabMeepo {
  readonly #lab: Lab;
  readonly #role: string;
  readonly #folder: string;
  #child: ChildProcess | undefined;
  output = '';

  private constructor(lab: Lab, role: string) {
    this.#lab = lab;
    this.#role = role;
    this.#folder = tempDir();
  }

  /** Starts the daemon, and waits until it can be found. */
  static async start(
    lab: Lab,
    role: string,
    signaling: string,
    more: LabMeepoConfig = {},
  ): Promise<LabMeepo> {
    const node = new LabMeepo(lab, role);
    await node.#begin(signaling, more);
    return node;
  }

  /** Runs one command of `awl meepo` to its end. */
  run(...args: string[]) {
    const env = { ...process.env, AWL_MEEPO_DIR: this.#folder };
    return this.#lab.run(this.#role, process.execPath, [AWL, 'meepo', ...args], { env, timeoutMs: 40_000 });
  }

  async id(): Promise<string> {
    return (await this.run('whoami')).stdout.trim();
  }

  async #begin(signaling: string, { iceServers = [], portMapping }: LabMeepoConfig): Promise<void> {
    const key = join(this.#folder, 'key.pem');
    mkdirSync(this.#folder, { recursive: true });
    writeFileSync(key, formatKeyFile({ keys: meepoKeys(), comment: '' }), { mode: 0o600 });
    const meepo = {
      identityFile: key,
      daemon: false,
      log: { level: 'debug' },
      proxy: { socks5: null },
      transport: {
        name: 'webrtc',
        iceServers: [`stun:${SERVER}:3478`, 'stun:192.0.2.11:3478', ...iceServers],
      },
      ...(portMapping !== undefined && { portMapping }),
      signaling: { name: 'redis', url: signaling },
    };
    writeFileSync(join(this.#folder, 'config.yaml'), JSON.stringify({ meepo }));
    const env = { ...process.env, AWL_MEEPO_DIR: this.#folder };
    const child = this.#lab.spawn(this.#role, process.execPath, [AWL, 'meepo', 'serve'], { env });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (text) => {
        this.output += text;
      });
    }
    await expect.poll(() => this.output, { timeout: 20_000 }).toContain('signaling over');
    await expect.poll(() => this.run('whoami').then(({ status }) => status), { timeout: 20_000 }).toBe(0);
  }

  /** With SIGKILL nothing is said to anybody, and nothing waited for. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }
}

/** Two sides behind NATs, signaling, and beside B a service that speaks; `start` makes two daemons. Taken down with the test. */
export async function meepoScene(name: string, options: LabOptions, signaling: 'redis' | 'hyperdht') {
  const lab = await Lab.up(name, { hops: 6, ...options });
  onTestFinished(() => lab.down());
  await lab.stun();
  let said = '';
  const server =
    signaling === 'redis'
      ? lab.spawn('s', 'redis-server', ['--bind', SERVER, '--save', '', '--protected-mode', 'no'])
      : lab.spawn('s', process.execPath, [AWL, 'dht-node', `--listen=${SERVER}`]);
  const speaker = lab.spawn('b', process.execPath, ['-e', SPEAKER]);
  for (const stream of [server.stdout, server.stderr, speaker.stdout]) {
    stream?.on('data', (text) => {
      said += text;
    });
  }
  await expect.poll(() => said, { timeout: 20_000 }).toMatch(/ready to accept|DHT node/i);
  await expect.poll(() => said, { timeout: 20_000 }).toMatch(/^ready$/m);
  const url = signaling === 'redis' ? `redis://${SERVER}:6379/1` : `hyperdht://${SERVER}:49737`;
  const start = async (more: LabMeepoConfig = {}) => {
    const [alice, bob] = await Promise.all([
      LabMeepo.start(lab, 'a', url, more),
      LabMeepo.start(lab, 'b', url, more),
    ]);
    const peer = await bob.id();
    const wanted = ['teleport', '-l', '127.0.0.1:8080', peer, `127.0.0.1:${WEB_PORT}`];
    return { alice, bob, peer, wanted };
  };
  return { lab, start };
}
