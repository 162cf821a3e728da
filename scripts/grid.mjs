// The kernel grid: two awls behind every pair of NAT types, each inviting once, with a payload that must get through.
//   scripts/grid [--types A,B] [--pairs A:B,C:D] [--jobs 3] [--hops 4] [--delay 25ms] [--loss 20%] [--tries 3]
//                [--sides ab] [--json FILE] [--out FILE]
// A failed pair is tried again, up to --tries times; docs/NAT-GRID.md (--out) says which try won. Needs root, ip, nft, python3.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createIdentity, exportIdentity, trustIdentity } from '../dist/identity/onboarding.js';
import { parseName } from '../dist/index.js';
import { gridPage } from './grid-page.mjs';

const root = resolve(import.meta.dirname, '..');
const netlab = join(root, 'scripts/netlab');
const awl = join(root, 'dist/cli/main.js');
const payload = join(root, 'scripts/demo-payload.mjs');
const TYPES = 'none,full-cone,restricted,port-restricted,symmetric,symmetric-sequential,cgnat,hostile';
const SESSION_MS = 45_000;
const { values: o } = parseArgs({
  options: {
    types: { type: 'string', default: TYPES },
    pairs: { type: 'string' },
    jobs: { type: 'string', default: '3' },
    hops: { type: 'string', default: '4' },
    delay: { type: 'string' },
    loss: { type: 'string' },
    tries: { type: 'string', default: '3' },
    sides: { type: 'string', default: 'ab' },
    json: { type: 'string' },
    out: { type: 'string' },
    show: { type: 'boolean', default: false },
  },
});

const names = { a: parseName('alice@grid.test/laptop'), b: parseName('bob@grid.test/nas') };
const folder = mkdtempSync(join(tmpdir(), 'awl-grid-'));
const repos = { a: join(folder, 'a'), b: join(folder, 'b') };
let labs = 0;

const types = o.types.split(',');
const pairs = o.pairs
  ? o.pairs.split(',').map((pair) => pair.split(':'))
  : types.flatMap((inviter) => types.map((acceptor) => [inviter, acceptor]));
/** The side of the lab that invites; each type then stands on each side in each role. */
const sides = [...o.sides];

/** Starts awl in the lab; its events come with the time at which they were read. */
function start(lab, role, children, ...args) {
  const [host, peer] = role === 'a' ? [names.a, names.b] : [names.b, names.a];
  const text = ({ owner, pin }) => `${owner}/${pin}`;
  const command = [
    ...[process.execPath, awl, '--json', '--app-id=grid', `--app-repo=${repos[role]}`],
    ...[`--host-info=${text(host)}`, `--peer-info=${text(peer)}`, '--stun-server=192.0.2.10'],
    ...['--rendezvous=file', `--file-dir=${lab.folder}/mail`, `--state-dir=${lab.folder}/${role}`],
    ...['--log-level=debug', `--exec-command=${process.execPath}`, ...args],
  ];
  const child = spawn(netlab, ['exec', '-n', lab.name, role, '--', ...command]);
  children.add(child);
  const side = { events: {}, log: '', child };
  let rest = '';
  child.stdout.on('data', (data) => {
    const lines = (rest + data).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith('{')) continue;
      const event = JSON.parse(line);
      side.events[event.event] = { ...event, at: performance.now() };
      side.wake?.(event.event);
    }
  });
  child.stderr.on('data', (data) => {
    side.log += data;
  });
  side.ended = new Promise((done) => {
    // Not `exit`: what it printed last may still be in the pipe.
    child.on('close', (status) => done(status));
  });
  side.until = (name) =>
    new Promise((done) => {
      if (side.events[name]) return done();
      side.wake = (event) => event === name && done();
    });
  return side;
}

/** One session; what came of it on both sides. */
async function session(a, b, side) {
  labs += 1;
  const lab = { name: `grid${process.pid}x${labs}`, folder: mkdtempSync(join(folder, 'lab-')) };
  const link = [o.delay && `--delay=${o.delay}`, o.loss && `--loss=${o.loss}`].filter(Boolean);
  const children = new Set();
  execFileSync('mkdir', ['-p', `${lab.folder}/mail`, `${lab.folder}/a`, `${lab.folder}/b`]);
  execFileSync('chmod', ['700', `${lab.folder}/mail`, `${lab.folder}/a`, `${lab.folder}/b`]);
  const other = side === 'a' ? 'b' : 'a';
  execFileSync(netlab, [
    'up',
    '-n',
    lab.name,
    `--${side}=${a}`,
    `--${other}=${b}`,
    `--hops=${o.hops}`,
    ...link,
  ]);
  let timer;
  try {
    const stun = spawn(netlab, ['stun', '-n', lab.name]);
    children.add(stun);
    await new Promise((done) => stun.stdout.once('data', done));
    const say = (mode) => `--exec-args=${payload} ${mode} %innerip% %innerport% %peerip% %peerport%`;
    const bob = start(lab, other, children, '--accept', '--once', say('echo'));
    const limit = new Promise((done) => {
      timer = setTimeout(done, SESSION_MS);
    });
    await Promise.race([bob.until('listening'), limit]);
    // A laptop that accepts measured its NAT long before anybody called.
    await Promise.race([bob.until('nat'), limit]);
    const alice = start(lab, side, children, say('hello'));
    const status = await Promise.race([alice.ended, limit]);
    await Promise.race([bob.ended, new Promise((done) => setTimeout(done, 3000))]);
    const result = { ok: status === 0, status, ...measure(alice, bob) };
    if (o.show || !result.ok) result.log = `${alice.log}\n${bob.log}`;
    return result;
  } finally {
    clearTimeout(timer);
    for (const child of children) child.kill('SIGTERM');
    execFileSync(netlab, ['down', '-n', lab.name]);
  }
}

function measure(alice, bob) {
  const punched = (side) =>
    /punch: (\d+) datagrams.*?, (\d+) of the wide.*?(?:nothing proven|proven after (\d+))/.exec(side.log);
  const [, sentA, wideA, proven] = punched(alice) ?? [];
  const [, sentB, wideB] = punched(bob) ?? [];
  const answered = alice.events.answered?.at;
  const failure = alice.events.failed ?? bob.events.failed;
  const end = (alice.events.passage ?? failure)?.at;
  return {
    how: [alice.events.passage?.how, bob.events.passage?.how],
    provenMs: proven === undefined ? undefined : Number(proven),
    passageMs: end && answered ? Math.round(end - answered) : undefined,
    sent: [Number(sentA ?? 0), Number(sentB ?? 0)],
    wide: [Number(wideA ?? 0), Number(wideB ?? 0)],
    code: failure?.code,
    // Each payload was told the own endpoint that the other side sees.
    seen: [
      alice.events.passage?.outer === bob.events.passage?.alien,
      bob.events.passage?.outer === alice.events.passage?.alien,
    ],
  };
}

const results = [];
async function work(queue) {
  for (let pair = queue.shift(); pair; pair = queue.shift()) {
    const [a, b, side] = pair;
    let result;
    // Two random symmetric NATs are not expected to connect: one try says how they end.
    const tries = hopeless(a, b) ? 1 : Number(o.tries);
    for (let attempt = 1; attempt <= tries; attempt++) {
      result = { ...(await session(a, b, side)), attempt };
      if (result.ok) break;
    }
    results.push({ a, b, side, ...result, log: undefined });
    const text = result.ok
      ? `${result.how.join(' / ')}, proven ${result.provenMs} ms, passage ${result.passageMs} ms, try ${result.attempt}`
      : `FAILED ${result.code ?? result.status} after ${result.passageMs} ms`;
    console.log(
      `${a} -> ${b} (${side} invites): ${text}, sent ${result.sent.join(' + ')}, wide ${result.wide.join(' + ')}`,
    );
    if (result.log) console.log(result.log);
  }
}

/** A random symmetric NAT and another one that moves: 64 512 ports, and no way to tell which. */
function hopeless(a, b) {
  return (a === 'symmetric' && b.startsWith('symmetric')) || (b === 'symmetric' && a.startsWith('symmetric'));
}

try {
  for (const side of ['a', 'b']) await createIdentity(repos[side], names[side]);
  await trustIdentity(repos.b, await exportIdentity(repos.a, names.a));
  await trustIdentity(repos.a, await exportIdentity(repos.b, names.b));
  const queue = sides.flatMap((side) => pairs.map((pair) => [...pair, side]));
  await Promise.all(Array.from({ length: Number(o.jobs) }, () => work(queue)));
  const wrong = results.filter(({ a, b, ok }) => ok === hopeless(a, b));
  const direct = results.filter(({ ok }) => ok);
  const first = direct.filter(({ attempt }) => attempt === 1).length;
  console.log(
    `${direct.length} of ${results.length} pairs direct, ${first} at the first try, ${wrong.length} not as expected`,
  );
  if (o.json) writeFileSync(o.json, JSON.stringify(results, undefined, 1));
  const out = o.out ?? (o.pairs || o.types !== TYPES ? undefined : join(root, 'docs/NAT-GRID.md'));
  if (out) writeFileSync(out, gridPage(types, results, hopeless, o));
  process.exitCode = wrong.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
