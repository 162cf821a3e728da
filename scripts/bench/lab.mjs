// Two machines behind port-restricted kernel NATs, a server between them, and awls that report by --json; needs root.
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createIdentity, exportIdentity, trustIdentity } from '../../dist/identity/onboarding.js';
import { parseName } from '../../dist/index.js';

export const root = resolve(import.meta.dirname, '../..');
export const SERVER = '192.0.2.10';
const netlab = join(root, 'scripts/netlab');
const awl = join(root, 'dist/cli/main.js');

export const sleep = (ms) =>
  new Promise((done) => {
    setTimeout(done, ms);
  });
export const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
export const rssOf = (pid) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

/** Calls `work` with a lab and takes everything down again. */
export async function withLab(work) {
  const name = `bench${process.pid}`;
  const folder = mkdtempSync(join(tmpdir(), 'awl-bench-'));
  // Daemons that run as users of their own must be able to pass through.
  chmodSync(folder, 0o711);
  const children = new Set();
  const names = { a: parseName('alice@plexus.test/laptop'), b: parseName('bob@plexus.test/nas') };
  const repos = { a: join(folder, 'a'), b: join(folder, 'b') };
  const lab = {
    folder,
    /** Name of the role's namespace. */
    ns: (role) => `${process.env.NATLAB_PREFIX ?? 'nl'}-${name}-${role}`,
    /** Runs a command in one of the machines, to its end. */
    run: (role, ...command) =>
      execFileSync(netlab, ['exec', '-n', name, role, '--', ...command], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'inherit'],
      }),
    /** Starts a command in one of the machines. */
    start(role, ...command) {
      const child = spawn(netlab, ['exec', '-n', name, role, '--', ...command], {
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      children.add(child);
      const state = { child, events: {}, log: '' };
      let rest = '';
      child.stdout.on('data', (data) => {
        const lines = (rest + data).split('\n');
        rest = lines.pop();
        for (const line of lines) {
          if (!line.startsWith('{')) continue;
          const event = JSON.parse(line);
          state.events[event.event] ??= [];
          state.events[event.event].push(Date.now());
        }
      });
      child.stderr.on('data', (data) => {
        state.log += data;
      });
      state.ended = new Promise((done) => {
        child.once('close', done);
      });
      return state;
    },
    awl: (role, ...args) => lab.start(role, process.execPath, awl, ...args),
    /** The flags of one side of a session but for the rendezvous. */
    side(role) {
      const [host, peer] = role === 'a' ? [names.a, names.b] : [names.b, names.a];
      return [
        '--json',
        '--app-id=bench',
        `--app-repo=${repos[role]}`,
        `--state-dir=${join(folder, `state-${role}`)}`,
        `--host-info=${host.owner}/${host.pin}`,
        `--peer-info=${peer.owner}/${peer.pin}`,
        `--stun-server=${SERVER}`,
        '--exec-command=sleep',
        '--exec-args=0.3',
      ];
    },
    async until(state, event, count = 1) {
      for (let waited = 0; (state.events[event]?.length ?? 0) < count; waited += 5) {
        if (waited > 30_000) throw new Error(`no event ${event}\n${state.log}`);
        await sleep(5);
      }
    },
  };
  try {
    for (const side of ['a', 'b']) await createIdentity(repos[side], names[side]);
    await trustIdentity(repos.b, await exportIdentity(repos.a, names.a));
    await trustIdentity(repos.a, await exportIdentity(repos.b, names.b));
    execFileSync(netlab, [
      'up',
      '-n',
      name,
      '--a',
      'port-restricted',
      '--b',
      'port-restricted',
      '--hops',
      '6',
    ]);
    lab.awl('s', 'stun-server', `--listen=${SERVER}`, '--listen=192.0.2.11');
    await sleep(500);
    await work(lab);
  } finally {
    for (const child of children) child.kill('SIGTERM');
    execFileSync(netlab, ['down', '-n', name]);
    rmSync(folder, { recursive: true, force: true });
  }
}
