// Two awl meepo nodes on one veth pair: time to teleport, throughput up and down, one-byte echo, 200 connections at once,
// an unlimited iperf3 either way with pings beside it, and memory. `node scripts/bench/meepo.mjs
// [passage|webrtc|model|pion|rival] [--seconds 10] [--foreground]`: `passage` is awl's own path, `webrtc` leaves that out. `model` has
// at the far end what stands for the real Meepo in the tests, on loopback and werift; `pion` the same on pion, which the real one is
// built on, across the veth pair; `rival` has that at both ends. Needs root, `npm run build`, redis-server, iperf3 and, for the last
// two, golang-go and golang-github-pion-webrtc.v3-dev; prints one line a figure.
import { execFileSync, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { keepYoungHeapSmall } from '../../dist/cli/heap.js';
import { silentLogger } from '../../dist/log.js';
import { MeepoNode } from '../../dist/meepo/node.js';
import { parseRedisUrl } from '../../dist/rendezvous/meepo/place.js';
import { meepoKeys } from '../../dist/wire/meepo/keys.js';

const MB = 1024 * 1024;
const BYTES = 32 * MB;
const ECHOES = 2_000;
const CROWD = 200;
const CROWD_MS = 20_000;
const SERVER = '10.77.0.1';
const URL = `redis://${SERVER}:6379/1`;
const SELF = process.argv[1];
const { values, positionals } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    role: { type: 'string' },
    // Memory as in a node with --daemon=false.
    foreground: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const mode = positionals[0] ?? 'passage';
const STOOD_IN = ['model', 'pion', 'rival'];
const root = resolve(import.meta.dirname, '../..');
const PION = join(root, 'node_modules/.cache/awl-pion');

const sleep = (ms) =>
  new Promise((done) => {
    setTimeout(done, ms);
  });
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

const node = () =>
  new MeepoNode({
    keys: meepoKeys(),
    webrtc: { iceServers: [], ...(mode === 'model' && { onlyAddress: '127.0.0.1' }) },
    access: {},
    passages: mode === 'passage',
    redis: parseRedisUrl(URL),
    log: silentLogger,
  });
const say = (name, value, unit) => console.log(`${mode.padEnd(8)} ${name.padEnd(36)} ${value} ${unit}`);
const tell = (message) => new Promise((done) => process.send(message, done));

/** Services beside the far node: one that drinks, one that pours, one that echoes. */
async function services() {
  const listen = async (handler) => {
    const server = createServer({ noDelay: true }, handler).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return server.address().port;
  };
  const drain = await listen((socket) => {
    let got = 0;
    socket.on('error', () => {});
    socket.on('data', (data) => {
      got += data.length;
      if (got === BYTES) socket.write('!');
    });
  });
  const source = await listen((socket) => {
    const chunk = Buffer.alloc(65536, 1);
    let left = BYTES;
    const go = () => {
      while (left > 0) {
        left -= chunk.length;
        if (!socket.write(chunk)) return socket.once('drain', go);
      }
      return undefined;
    };
    socket.on('error', () => {});
    go();
  });
  const echo = await listen((socket) => socket.on('error', () => {}).pipe(socket));
  await tell({ drain, source, echo });
}

/** The clients beside the near node; their times are those that a user sees. */
async function client() {
  const [{ drain, source, echo, direct }] = await once(process, 'message');
  const up = connect(drain);
  await once(up, 'connect');
  let begun = performance.now();
  const chunk = Buffer.alloc(65536, 1);
  await tell('32 MB up');
  for (let sent = 0; sent < BYTES; sent += chunk.length) if (!up.write(chunk)) await once(up, 'drain');
  await once(up, 'data');
  say('32 MB up', (BYTES / MB / ((performance.now() - begun) / 1000)).toFixed(1), 'MB/s');
  await tell('');
  up.destroy();
  await tell('32 MB down');
  const down = connect(source);
  begun = performance.now();
  let got = 0;
  for await (const data of down) {
    got += data.length;
    if (got >= BYTES) break;
  }
  say('32 MB down', (BYTES / MB / ((performance.now() - begun) / 1000)).toFixed(1), 'MB/s');
  await tell('');
  for (const [name, port] of [['echo', echo], ...(direct ? [['direct echo', direct]] : [])]) {
    const one = connect({ port, noDelay: true });
    await once(one, 'connect');
    const times = [];
    let start = 0;
    const done = new Promise((resolve) => {
      one.on('data', () => {
        times.push(performance.now() - start);
        if (times.length === ECHOES) return resolve();
        start = performance.now();
        one.write('x');
        return undefined;
      });
    });
    start = performance.now();
    one.write('x');
    await done;
    times.sort((a, b) => a - b);
    say(
      `one-byte ${name}, median and 9 of 10`,
      `${median(times).toFixed(3)} and ${times[ECHOES * 0.9].toFixed(3)}`,
      'ms',
    );
    one.destroy();
  }
  begun = performance.now();
  let answered = 0;
  const crowd = Array.from({ length: CROWD }, () => {
    const socket = connect(echo);
    socket.on('error', (error) => console.error(String(error)));
    socket.once('data', () => answered++);
    socket.write('hello');
    return socket;
  });
  while (answered < CROWD && performance.now() - begun < CROWD_MS) await sleep(1);
  say(`${answered} of ${CROWD} connections opened and answered`, Math.round(performance.now() - begun), 'ms');
  for (const socket of crowd) socket.destroy();
  await tell('done');
  process.exit();
}

/** One node; told what to do by messages, one at a time. */
async function meepo() {
  if (values.foreground) keepYoungHeapSmall();
  const own = node();
  await tell({ id: own.id });
  for await (const [{ id, teleport, ping }] of on(process, 'message')) {
    if (teleport) {
      const begun = performance.now();
      const { source } = await own.teleport({ peer: id, remote: `127.0.0.1:${teleport}` });
      await tell({ port: Number(source.address.split(':')[1]), ms: performance.now() - begun });
    } else if (ping) {
      const begun = performance.now();
      const problem = await own.ping(id).then(() => undefined, String);
      await tell({ ms: performance.now() - begun, problem });
    }
  }
}

/** The tests' stand-in for the real one, which they have in TypeScript. */
async function model() {
  const outDir = join(root, 'node_modules/.cache/awl-meepo-model');
  const { MeepoModel } = await import(join(outDir, 'test/support/meepo-model.js'));
  const { PionPeer, pionPeer } = await import(join(outDir, 'test/support/pion-peer.js'));
  const onPion = () => new PionPeer(pionPeer(PION, join(root, 'test/support/pion-peer')));
  const own = new MeepoModel(URL, undefined, mode === 'model' ? undefined : onPion);
  await own.start();
  await tell({ id: own.id });
  let met = false;
  for await (const [{ id, teleport }] of on(process, 'message')) {
    const begun = performance.now();
    if (!met) await own.dial(id);
    met = true;
    const { at } = await own.teleport(`bench${teleport}`, `127.0.0.1:${teleport}`);
    await tell({ port: Number(at.split(':')[1]), ms: performance.now() - begun });
  }
}

/** Compiles the stand-in, before anybody measures. */
async function prepare() {
  const outDir = join(root, 'node_modules/.cache/awl-meepo-model');
  mkdirSync(outDir, { recursive: true });
  const config = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { outDir, rootDir: root, declaration: false, noEmit: false },
    files: ['meepo-model', 'pion-peer'].map((name) => join(root, `test/support/${name}.ts`)),
    include: [],
  };
  writeFileSync(join(outDir, 'tsconfig.json'), JSON.stringify(config));
  writeFileSync(join(outDir, 'package.json'), '{"type":"module"}');
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', join(outDir, 'tsconfig.json')]);
  if (mode === 'model') return;
  const { pionPeer } = await import(join(outDir, 'test/support/pion-peer.js'));
  pionPeer(PION, join(root, 'test/support/pion-peer'));
}

const ns = ['a', 'b'].map((side) => `awlmb${process.pid}${side}`);
const ip = (...args) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });
const children = [];
const inside = (side, command, ...args) => {
  const child = spawn('ip', ['netns', 'exec', ns[side], command, ...args], {
    stdio: ['ignore', 'inherit', 'inherit', ...(command === process.execPath ? ['ipc'] : [])],
  });
  children.push(child);
  return child;
};
// The flag is the daemon's own, and so is the word to the C library.
if (!values.foreground) process.env.MALLOC_TRIM_THRESHOLD_ ??= '131072';
const role = (side, name) =>
  inside(
    side,
    process.execPath,
    ...(values.foreground ? [SELF, '--foreground'] : ['--max-semi-space-size=2', SELF]),
    ...[mode, `--role=${name}`],
  );
const ask = async (child, message) => {
  child.send(message);
  return (await once(child, 'message'))[0];
};
const rss = ({ pid }) => {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(text)[1]) / 1024;
};

/** Seconds of a processor that a process has had. */
const cpu = ({ pid }) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};

/** Says what the client's transfers cost either node, until it is done. */
async function costs(user, nodes) {
  for (let name = '', before = []; ; ) {
    const [word] = await once(user, 'message');
    if (word === 'done') return;
    if (word === '') {
      const each = nodes.map((one, i) => ((cpu(one) - before[i]) / (BYTES / 1e9)).toFixed(0));
      say(`${name}: CPU near and far`, each.join(' and '), 's/GB');
    }
    name = word;
    before = nodes.map(cpu);
  }
}

async function load(near, far, id, port, reverse) {
  const seconds = Number(values.seconds);
  const args = ['netns', 'exec', ns[0], 'iperf3', '-c', '127.0.0.1', '-p', port, '-t', seconds, '--json'];
  const child = spawn('ip', [...args.map(String), ...(reverse ? ['-R'] : [])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.on('data', (data) => {
    text += data;
  });
  const ended = once(child, 'close');
  const pings = [];
  let peak = [0, 0];
  const watch = setInterval(() => {
    peak = [near, far].map((one, i) => Math.max(peak[i], rss(one)));
  }, 50);
  for (const end = performance.now() + seconds * 1000 - 500; performance.now() < end; await sleep(200)) {
    const { ms, problem } = await ask(near, { id, ping: true });
    if (problem) say('ping failed', problem, '');
    pings.push(ms);
  }
  await ended;
  clearInterval(watch);
  const name = `iperf3 ${reverse ? 'down' : 'up'}, ${seconds} s`;
  const rate = JSON.parse(text).end?.sum_received?.bits_per_second ?? 0;
  say(name, `${Math.round(rate / 1e6)} Mbit/s, ${(rate / 8 / MB).toFixed(1)}`, 'MB/s');
  say(
    `  pings beside it, median and worst`,
    `${median(pings).toFixed(1)} and ${Math.max(...pings).toFixed(1)}`,
    'ms',
  );
  say('  memory at its highest, near and far', peak.map(Math.round).join(' and '), 'MB');
}

async function main() {
  if (STOOD_IN.includes(mode)) await prepare();
  try {
    for (const name of ns) ip('netns', 'add', name);
    ip('link', 'add', 'v', 'netns', ns[0], 'type', 'veth', 'peer', 'name', 'v', 'netns', ns[1]);
    for (const side of [0, 1]) {
      ip('-n', ns[side], 'addr', 'add', `10.77.0.${side + 1}/24`, 'dev', 'v');
      for (const link of ['lo', 'v']) ip('-n', ns[side], 'link', 'set', link, 'up');
    }
    inside(0, 'sh', '-c', `exec redis-server --bind ${SERVER} --save '' --protected-mode no > /dev/null`);
    // The stand-in knows loopback only.
    const there = mode === 'model' ? 0 : 1;
    inside(there, 'sh', '-c', 'exec iperf3 -s -B 127.0.0.1 > /dev/null');
    const beside = role(there, 'services');
    const [ports] = await once(beside, 'message');
    const far = role(there, STOOD_IN.includes(mode) ? 'model' : 'meepo');
    const [{ id }] = await once(far, 'message');
    const near = role(0, mode === 'rival' ? 'model' : 'meepo');
    await once(near, 'message');
    await sleep(2_000);
    say('memory before, near and far', [near, far].map((one) => Math.round(rss(one))).join(' and '), 'MB');
    const at = {};
    for (const name of ['echo', 'drain', 'source']) {
      const { port, ms } = await ask(near, { id, teleport: ports[name] });
      at[name] = port;
      if (name === 'echo') say('teleport, transport included', Math.round(ms), 'ms');
    }
    // A path of awl moves to TCP where it can, beside what flows already.
    await sleep(1_000);
    const user = role(0, 'client');
    user.send(at);
    await costs(user, [near, far]);
    say('memory after it, near and far', [near, far].map((one) => Math.round(rss(one))).join(' and '), 'MB');
    // What stands for the real one has no backpressure, as that: it would fill memory.
    if (STOOD_IN.includes(mode)) return;
    const { port } = await ask(near, { id, teleport: 5201 });
    for (const reverse of [false, true]) await load(near, far, id, port, reverse);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await sleep(200);
    for (const name of ns) ip('netns', 'del', name);
  }
}

const roles = { services, client, meepo, model };
await (values.role ? roles[values.role]() : main());
if (!values.role) process.exit();
