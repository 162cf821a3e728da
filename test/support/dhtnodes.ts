import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { HostPort } from '../../src/util/host-port.js';

const START_MS = 10_000;

/** A UDP port of loopback that is free right now. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  await once(socket, 'close');
  return port;
}

/** Debian's dhtnode on loopback: never anywhere else, each a child of this process. */
export class DhtNodeProcess {
  readonly port: number;
  readonly network: number;
  output = '';
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  private constructor(child: ChildProcess, port: number, network: number) {
    this.port = port;
    this.network = network;
    this.#child = child;
    this.#ended = once(child, 'exit');
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output = (this.output + text).slice(-100_000);
      });
    }
    child.stdin?.on('error', () => {});
  }

  static async start(port: number, network: number, bootstrap?: HostPort): Promise<DhtNodeProcess> {
    const args = ['-p', String(port), '-n', String(network)];
    if (bootstrap) {
      const host = bootstrap.host.includes(':') ? `[${bootstrap.host}]` : bootstrap.host;
      args.push('-b', `${host}:${bootstrap.port}`);
    }
    const child = spawn('dhtnode', args, { stdio: ['pipe', 'pipe', 'pipe'] });
    const node = new DhtNodeProcess(child, port, network);
    const limit = performance.now() + START_MS;
    while (!/type 'h'|>> /.test(node.output)) {
      if (performance.now() > limit || child.exitCode !== null) {
        node.kill();
        throw new Error(`dhtnode did not start: ${node.output}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return node;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** A line of its command prompt. */
  command(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async end(): Promise<void> {
    this.kill();
    await this.#ended;
  }
}

/** Several nodes that know each other, in a network of their own. */
export class DhtLab {
  readonly nodes: DhtNodeProcess[] = [];
  readonly host: string;
  readonly network: number;

  private constructor(host: string, network: number) {
    this.host = host;
    this.network = network;
  }

  static async start(count: number, options: { network?: number; host?: string } = {}): Promise<DhtLab> {
    const lab = new DhtLab(options.host ?? '127.0.0.1', options.network ?? 0);
    try {
      for (let i = 0; i < count; i++) await lab.add();
      return lab;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  async add(port?: number): Promise<DhtNodeProcess> {
    const [first] = this.nodes;
    const seed = first && { host: this.host, port: first.port };
    const node = await DhtNodeProcess.start(port ?? (await freePort()), this.network, seed);
    this.nodes.push(node);
    return node;
  }

  /** How to join: the first node, or all of them. */
  bootstrap(count = 1): HostPort[] {
    return this.nodes.slice(0, count).map(({ port }) => ({ host: this.host, port }));
  }

  /** Kills them all and starts others on the same ports, which know nothing. */
  async restart(): Promise<void> {
    const ports = this.nodes.map(({ port }) => port);
    await Promise.all(this.nodes.splice(0).map((node) => node.end()));
    for (const port of ports) await this.add(port);
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.splice(0).map((node) => node.end()));
  }
}
