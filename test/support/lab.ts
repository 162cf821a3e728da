import { type ChildProcess, execFile, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const SCRIPT = fileURLToPath(new URL('../../scripts/netlab', import.meta.url));
const STATE = process.env['NATLAB_RUN'] ?? '/run/natlab';
const BASE = process.env['NATLAB_PREFIX'] ?? 'awl';
/** Of this process: test files and checkouts run side by side without seeing each other. */
const PREFIX = `${BASE}${process.pid}`;
const ENV = { ...process.env, NATLAB_PREFIX: PREFIX };
const COMMAND_MS = 30_000;

export interface LabOptions {
  /** NAT types of docs/NETLAB.md, such as `port-restricted` or `full-cone/symmetric`. */
  readonly a?: string;
  readonly b?: string;
  /** Routers between the sides; with 6 the default low TTL of 7 does not arrive. */
  readonly hops?: number;
  /** `20%` each way, or per side. */
  readonly loss?: string;
  readonly lossA?: string;
  readonly lossB?: string;
  /** `25ms` one way. */
  readonly delay?: string;
  readonly delayA?: string;
  readonly delayB?: string;
  readonly rate?: string;
  readonly lanHosts?: number;
  readonly sameLan?: boolean;
  readonly serverIps?: number;
  readonly ipv6?: boolean;
  /** First three octets of A's public addresses, where a daemon refuses documentation ranges. */
  readonly publicA?: string;
  /** Seconds a mapping lives that was never answered, and one that was. */
  readonly udpTimeout?: number;
  readonly udpStreamTimeout?: number;
}

export interface RunResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const open = new Set<Lab>();
process.on('exit', () => {
  for (const lab of open) spawnSync(SCRIPT, ['down', '-n', lab.name], { env: ENV, timeout: COMMAND_MS });
});

function netlab(...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(SCRIPT, args, { env: ENV, timeout: COMMAND_MS }, (error, stdout, stderr) => {
      if (error) reject(new Error(`netlab ${args.join(' ')}: ${stderr || error.message}`));
      else resolve(stdout);
    });
  });
}

/** Ends labs whose test process was killed before it could: their prefix names a process that is gone. */
function sweep(): void {
  if (!existsSync(STATE)) return;
  for (const file of readdirSync(STATE)) {
    const match = new RegExp(`^(${BASE}(\\d+))-(.+)\\.json$`).exec(file);
    const [, prefix, pid, name] = match ?? [];
    if (prefix === undefined || name === undefined || existsSync(`/proc/${pid}`)) continue;
    spawnSync(SCRIPT, ['down', '-n', name], { env: { ...ENV, NATLAB_PREFIX: prefix }, timeout: COMMAND_MS });
  }
}

function flags(o: LabOptions): string[] {
  const values: Record<string, string | number | undefined> = {
    '--a': o.a,
    '--b': o.b,
    '--hops': o.hops,
    '--loss': o.loss,
    '--loss-a': o.lossA,
    '--loss-b': o.lossB,
    '--delay': o.delay,
    '--delay-a': o.delayA,
    '--delay-b': o.delayB,
    '--rate': o.rate,
    '--lan-hosts': o.lanHosts,
    '--server-ips': o.serverIps,
    '--pub-a': o.publicA,
    '--udp-timeout': o.udpTimeout,
    '--udp-stream-timeout': o.udpStreamTimeout,
  };
  const args = Object.entries(values).flatMap(([flag, value]) =>
    value === undefined ? [] : [flag, String(value)],
  );
  if (o.sameLan) args.push('--same-lan');
  if (o.ipv6) args.push('--ipv6');
  return args;
}

/**
 * Two sides behind real kernel NATs, and a server S between them (docs/NETLAB.md). Needs root, ip, nft, python3.
 * Roles: a, b, s, nata, natb, with more LAN hosts a2 b2, with carrier NATs cga cgb, and the routers i1 ... iN.
 */
export class Lab {
  readonly name: string;
  /** Addresses by role: `a`, `b` (inside), `nata`, `natb` (public), `s`, `s2`, `a2`, `a_v6`, ... */
  readonly addr: Readonly<Record<string, string>>;
  readonly roles: readonly string[];
  readonly #children = new Set<ChildProcess>();

  private constructor(name: string, addr: Record<string, string>, roles: string[]) {
    this.name = name;
    this.addr = addr;
    this.roles = roles;
  }

  /** Builds a lab; `name` need only be unique within the test file. */
  static async up(name: string, o: LabOptions = {}): Promise<Lab> {
    sweep();
    await netlab('up', '-n', name, ...flags(o));
    const info: { addr: Record<string, string>; roles: string[] } = JSON.parse(
      await netlab('info', '-n', name),
    );
    const lab = new Lab(name, info.addr, info.roles);
    open.add(lab);
    return lab;
  }

  /** Name of the role's network namespace, as `ip netns exec` takes it. */
  ns(role: string): string {
    if (!this.roles.includes(role)) throw new Error(`lab ${this.name} has no role ${role}`);
    return `${PREFIX}-${this.name}-${role}`;
  }

  /** Starts a command in the role's namespace; `ip netns exec` becomes the command, so the child's pid is its pid. */
  spawn(role: string, command: string, args: readonly string[] = [], o: SpawnOptions = {}): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', this.ns(role), command, ...args], o);
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    child.on('error', () => this.#children.delete(child));
    return child;
  }

  /** Runs a command to its end, or kills it after `timeoutMs` (status null then). */
  async run(
    role: string,
    command: string,
    args: readonly string[] = [],
    o: { timeoutMs?: number; input?: string; env?: NodeJS.ProcessEnv; cwd?: string } = {},
  ): Promise<RunResult> {
    const child = this.spawn(role, command, args, {
      ...(o.env ? { env: o.env } : {}),
      ...(o.cwd ? { cwd: o.cwd } : {}),
    });
    let stdout = '';
    let stderr = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.stdin?.on('error', () => {});
    child.stdin?.end(o.input ?? '');
    const timer = setTimeout(() => child.kill('SIGKILL'), o.timeoutMs ?? 20_000);
    try {
      const [status] = (await once(child, 'close')) as [number | null];
      return { status, stdout, stderr };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Starts the lab's STUN server in S: 192.0.2.10 and .11, ports 3478 and 3479. Ends with the lab. */
  async stun(): Promise<void> {
    const child = spawn(SCRIPT, ['stun', '-n', this.name], {
      env: ENV,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    if (!child.stdout) throw new Error('no pipe to the STUN server');
    await once(child.stdout, 'data', { signal: AbortSignal.timeout(COMMAND_MS) });
  }

  /** Ends what this test started in the lab, then the lab. Idempotent. */
  async down(): Promise<void> {
    if (!open.delete(this)) return;
    const ended = [...this.#children].map((child) => once(child, 'exit'));
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.all(ended);
    await netlab('down', '-n', this.name);
  }
}
