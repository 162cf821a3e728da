// Two machines in a lab of scripts/netlab that know each other, and awls in it that report by --json; needs root.
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createIdentity, exportIdentity, trustIdentity } from '../dist/identity/onboarding.js';
import { parseName } from '../dist/index.js';

export const root = resolve(import.meta.dirname, '..');
export const SERVER = '192.0.2.10';
const netlab = join(root, 'scripts/netlab');
const awl = join(root, 'dist/cli/main.js');
const NAMES = { a: parseName('alice@plexus.test/laptop'), b: parseName('bob@plexus.test/nas') };
const UNTIL_MS = 30_000;

export const sleep = (ms) =>
  new Promise((done) => {
    setTimeout(done, ms);
  });
export const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

/** Makes an identity for each side in `folder` that trusts the other. */
export async function introduce(folder) {
  const repo = (role) => join(folder, role);
  for (const role of ['a', 'b']) await createIdentity(repo(role), NAMES[role]);
  await trustIdentity(repo('b'), await exportIdentity(repo('a'), NAMES.a));
  await trustIdentity(repo('a'), await exportIdentity(repo('b'), NAMES.b));
}

/** The flags that name both sides, for the one of that role. */
export function partyFlags(folder, role) {
  const text = ({ owner, pin }) => `${owner}/${pin}`;
  const peer = role === 'a' ? 'b' : 'a';
  return [
    '--json',
    `--app-repo=${join(folder, role)}`,
    `--host-info=${text(NAMES[role])}`,
    `--peer-info=${text(NAMES[peer])}`,
    `--stun-server=${SERVER}`,
  ];
}

/** One lab; `flags` are those of `netlab up`. */
export class Lab {
  #children = new Set();

  constructor(name, flags) {
    this.name = name;
    execFileSync(netlab, ['up', '-n', name, ...flags]);
  }

  /** Name of the role's namespace. */
  ns(role) {
    return `${process.env.NATLAB_PREFIX ?? 'nl'}-${this.name}-${role}`;
  }

  /** Makes a folder that only root reads. */
  static folder(path) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  }

  /** The lab's own STUN server, once it listens. */
  async stun() {
    const child = spawn(netlab, ['stun', '-n', this.name], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.add(child);
    await new Promise((done) => {
      child.stdout.once('data', done);
    });
  }

  /** Runs a command in one of the machines, to its end. */
  run(role, ...command) {
    return execFileSync(netlab, ['exec', '-n', this.name, role, '--', ...command], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  }

  /** Starts a command in one of the machines; collects its log, and events with the time (ms) at which they were read. */
  start(role, ...command) {
    const child = spawn(netlab, ['exec', '-n', this.name, role, '--', ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#children.add(child);
    const state = { child, events: {}, log: '' };
    let rest = '';
    child.stdout.on('data', (data) => {
      const lines = (rest + data).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith('{')) continue;
        const event = JSON.parse(line);
        state.events[event.event] ??= [];
        state.events[event.event].push({ ...event, at: Date.now() });
      }
    });
    child.stderr.on('data', (data) => {
      state.log += data;
    });
    // Not `exit`: what it printed last may still be in the pipe.
    state.ended = new Promise((done) => {
      child.once('close', done);
    });
    return state;
  }

  awl(role, ...args) {
    return this.start(role, process.execPath, awl, ...args);
  }

  /** Waits for the `count`th event of that name. */
  async until(state, event, count = 1) {
    for (let waited = 0; (state.events[event]?.length ?? 0) < count; waited += 5) {
      if (waited > UNTIL_MS) throw new Error(`no event ${event}\n${state.log}`);
      await sleep(5);
    }
  }

  down() {
    for (const child of this.#children) child.kill('SIGTERM');
    execFileSync(netlab, ['down', '-n', this.name]);
  }
}
