// Two namespaces a and b with one path between them, and what runs in them; needs root, ip, and cc for all but `veth`.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const IP = { a: '10.99.0.1', b: '10.99.0.2' };
/** Words for path.c: ms each way, % lost, Mbit/s, kB of queue. */
export const PROFILES = {
  veth: undefined,
  delay: ['25', '0', '0', '4000'],
  loss: ['25', '1', '0', '4000'],
  rate: ['25', '0', '100', '625'],
};

export const sleep = (ms) =>
  new Promise((done) => {
    setTimeout(done, ms);
  });
export const sh = (...argv) =>
  execFileSync(argv[0], argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
export const has = (program) =>
  spawnSync('sh', ['-c', `command -v ${program}`], {
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  }).status === 0;

export async function until(what, test, ms = 15_000) {
  for (const limit = Date.now() + ms; !test(); await sleep(20)) {
    if (Date.now() > limit) throw new Error(`${what} did not happen`);
  }
}

/** Two namespaces and everything that was started there. */
export class Bench {
  folder = mkdtempSync(join(tmpdir(), 'awl-bench-'));
  #ns = { a: `awlbt${process.pid}a`, b: `awlbt${process.pid}b` };
  #children = new Set();

  constructor(profile) {
    for (const side of ['a', 'b']) sh('ip', 'netns', 'add', this.#ns[side]);
    this.profile = profile;
  }

  async up() {
    const { a, b } = this.#ns;
    const words = PROFILES[this.profile];
    if (words) {
      const emulator = join(this.folder, 'path');
      sh('cc', '-O2', '-o', emulator, join(import.meta.dirname, 'path.c'));
      const child = this.#spawn('nice', ['-n', '-5', emulator, a, 'v0', b, 'v0', ...words]);
      await until('the path', () => child.output.includes('ready'));
    } else sh('ip', 'link', 'add', 'v0', 'netns', a, 'type', 'veth', 'peer', 'name', 'v0', 'netns', b);
    for (const side of ['a', 'b']) {
      const ns = this.#ns[side];
      sh('ip', '-n', ns, 'link', 'set', 'lo', 'up');
      sh('ip', '-n', ns, 'addr', 'add', `${IP[side]}/24`, 'dev', 'v0');
      sh('ip', '-n', ns, 'link', 'set', 'v0', 'mtu', '1500', 'txqueuelen', '10000', 'up');
      // Room for 5 Gbit/s at 50 ms: the rivals must not be held back by the system's own limits.
      const buffers = ['tcp_wmem=4096 16384 33554432', 'tcp_rmem=4096 131072 33554432'];
      sh('ip', 'netns', 'exec', ns, 'sysctl', '-qw', ...buffers.map((one) => `net.ipv4.${one}`));
    }
  }

  start(side, ...argv) {
    return this.#spawn('ip', ['netns', 'exec', this.#ns[side], ...argv]);
  }

  /** Runs a command in a namespace to its end. */
  run(side, ...argv) {
    return sh('ip', 'netns', 'exec', this.#ns[side], ...argv);
  }

  #spawn(program, argv) {
    const child = spawn(program, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    child.output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data) => {
        child.output += data;
      });
    }
    this.#children.add(child);
    child.ended = new Promise((done) => child.once('close', done));
    void child.ended.then(() => this.#children.delete(child));
    return child;
  }

  async stop(...list) {
    for (const child of list) child.kill();
    await Promise.all(
      list.map((child) => Promise.race([child.ended, sleep(3000).then(() => child.kill('SIGKILL'))])),
    );
  }

  async down() {
    await this.stop(...this.#children);
    for (const side of ['a', 'b']) spawnSync('ip', ['netns', 'del', this.#ns[side]]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
