#!/usr/bin/env node
// Throughput of the built-in tunnel between two namespaces joined by a veth pair, beside `ssh -L` and OpenVPN (UDP,
// AES-256-GCM) and direct TCP in the same run. Needs root, ip, iperf3, and for the rivals sshd, ssh, openvpn.
// Usage: npm run build && node scripts/bench/tunnel.mjs [seconds=3] [rounds=3]
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const AWL = join(ROOT, 'dist/cli/main.js');
const seconds = Number(process.argv[2] ?? 3);
const rounds = Number(process.argv[3] ?? 3);
const tag = `awlbt${process.pid}`;
const NS = { a: `${tag}a`, b: `${tag}b` };
const IP = { a: '10.99.0.1', b: '10.99.0.2' };
const folder = mkdtempSync(join(tmpdir(), 'awl-bench-tunnel-'));
const children = new Set();
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const sh = (...argv) =>
  execFileSync(argv[0], argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
const has = (program) =>
  spawnSync('sh', ['-c', `command -v ${program}`], {
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  }).status === 0;

function start(side, ...argv) {
  const child = spawn('ip', ['netns', 'exec', NS[side], ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (child.output += data));
  children.add(child);
  child.ended = new Promise((resolve) => child.once('close', resolve));
  void child.ended.then(() => children.delete(child));
  return child;
}

async function until(what, test, ms = 15_000) {
  for (const limit = Date.now() + ms; !test(); await sleep(20)) {
    if (Date.now() > limit) throw new Error(`${what} did not happen`);
  }
}

async function stop(...list) {
  for (const child of list) child.kill();
  await Promise.all(
    list.map((child) => Promise.race([child.ended, sleep(3000).then(() => child.kill('SIGKILL'))])),
  );
}

function peakMb(...list) {
  return list.map(({ pid }) => {
    const status = existsSync(`/proc/${pid}/status`) ? readFileSync(`/proc/${pid}/status`, 'utf8') : '';
    return Math.round(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
  });
}

/** Mbit/s that arrived, from a to b. */
async function iperf(host, port) {
  const server = start('b', 'iperf3', '-s', '-1', '--forceflush', '-p', '5201');
  await until('iperf3', () => server.output.includes('listening'));
  const client = start('a', 'iperf3', '-J', '-c', host, '-p', String(port), '-t', String(seconds), '-O', '1');
  await client.ended;
  await stop(server);
  return JSON.parse(client.output).end.sum_received.bits_per_second / 1e6;
}

async function tunnel() {
  const { createIdentity, exportIdentity, trustIdentity } = await import(
    join(ROOT, 'dist/identity/onboarding.js')
  );
  const { parseName } = await import(join(ROOT, 'dist/identity/names.js'));
  const names = { a: parseName('a@bench.test/a'), b: parseName('b@bench.test/b') };
  for (const side of ['a', 'b']) await createIdentity(join(folder, side), names[side]);
  await trustIdentity(join(folder, 'a'), await exportIdentity(join(folder, 'b'), names.b));
  await trustIdentity(join(folder, 'b'), await exportIdentity(join(folder, 'a'), names.a));
  mkdirSync(join(folder, 'meet'));
  const stun = start('b', process.execPath, AWL, 'stun-server', `--listen=${IP.b}`);
  const side = (own, other, ...more) =>
    start(
      own,
      process.execPath,
      AWL,
      '--json',
      '--app-id=bench',
      `--app-repo=${join(folder, own)}`,
      `--host-info=${own}@bench.test/${own}`,
      `--peer-info=${other}@bench.test/${other}`,
      `--stun-server=${IP.b}`,
      '--rendezvous=file',
      `--file-dir=${join(folder, 'meet')}`,
      `--state-dir=${join(folder, `state-${own}`)}`,
      '--allow-private',
      ...more,
    );
  const b = side('b', 'a', '--accept', '--once', '--export=5201,5300,udp:5300');
  await until('accepting', () => b.output.includes('"listening"'));
  const a = side('a', 'b', '--import=6201:5201,6300:5300,udp:6300:5300');
  await until('the tunnel', () => a.output.includes('"tunnel-open"'));
  return { host: '127.0.0.1', port: 6201, watched: [a, b], children: [a, b, stun] };
}

async function ssh() {
  if (!existsSync('/run/sshd')) mkdirSync('/run/sshd');
  for (const key of ['host', 'user'])
    sh('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(folder, key));
  writeFileSync(
    join(folder, 'sshd_config'),
    `HostKey ${folder}/host\nAuthorizedKeysFile ${folder}/user.pub\nPort 2222\nListenAddress ${IP.b}\nPidFile none\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n`,
  );
  const server = start('b', '/usr/sbin/sshd', '-D', '-e', '-f', join(folder, 'sshd_config'));
  await until('sshd', () => server.output.includes('listening'));
  const client = start(
    'a',
    'ssh',
    '-F',
    'none',
    '-N',
    '-v',
    '-p',
    '2222',
    '-i',
    join(folder, 'user'),
    '-o',
    'StrictHostKeyChecking=no',
    '-o',
    'UserKnownHostsFile=/dev/null',
    '-o',
    'BatchMode=yes',
    '-L',
    '7201:127.0.0.1:5201',
    `root@${IP.b}`,
  );
  await until('ssh -L', () => client.output.includes('Entering interactive session'));
  return { host: '127.0.0.1', port: 7201, watched: [client, server], children: [client, server] };
}

async function openvpn() {
  for (const side of ['a', 'b']) {
    sh(
      'openssl',
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
      '-subj',
      `/CN=${side}`,
      '-keyout',
      join(folder, `${side}.key`),
      '-out',
      join(folder, `${side}.crt`),
    );
  }
  const side = (own, other, inner, ...more) =>
    start(
      own,
      'openvpn',
      '--dev',
      'tun',
      '--proto',
      'udp',
      '--local',
      IP[own],
      '--remote',
      IP[other],
      '--port',
      '1194',
      '--ifconfig',
      ...inner,
      '--ca',
      join(folder, `${other}.crt`),
      '--cert',
      join(folder, `${own}.crt`),
      '--key',
      join(folder, `${own}.key`),
      '--data-ciphers',
      'AES-256-GCM',
      '--cipher',
      'AES-256-GCM',
      '--verb',
      '3',
      ...more,
    );
  const b = side('b', 'a', ['10.98.0.2', '10.98.0.1'], '--tls-server', '--dh', 'none');
  const a = side('a', 'b', ['10.98.0.1', '10.98.0.2'], '--tls-client');
  await until(
    'openvpn',
    () =>
      a.output.includes('Initialization Sequence Completed') &&
      b.output.includes('Initialization Sequence Completed'),
  );
  return { host: '10.98.0.2', port: 5201, watched: [a, b], children: [a, b] };
}

const ECHO = `
  require('node:dgram').createSocket('udp4').on('message', function (d, f) { this.send(d, f.port, f.address); }).bind(5300);
  require('node:net').createServer((s) => s.on('error', () => {}).pipe(s)).listen(5300, () => console.log('ready'));`;
/** Medians in ms: a datagram there and back, and a new connection until its first byte is back. */
const TIMES = `
  const [host, port] = process.argv.slice(1);
  const { createSocket } = require('node:dgram');
  const { connect } = require('node:net');
  const median = (list) => list.sort((a, b) => a - b)[list.length >> 1].toFixed(2);
  const udp = createSocket('udp4');
  const once = () => new Promise((resolve, reject) => {
    const from = performance.now();
    udp.once('message', () => resolve(performance.now() - from));
    udp.send('x', port, host);
    setTimeout(reject, 3000, new Error('lost')).unref();
  });
  const first = () => new Promise((resolve) => {
    const from = performance.now();
    const socket = connect(port, host, () => socket.write('x'));
    socket.once('data', () => { resolve(performance.now() - from); socket.destroy(); });
  });
  (async () => {
    const [a, b] = [[], []];
    for (let i = 0; i < 500; i++) a.push(await once());
    for (let i = 0; i < 200; i++) b.push(await first());
    console.log(JSON.stringify([median(a.slice(50)), median(b.slice(50))]));
    process.exit();
  })();`;

async function times(host, port) {
  const child = start('a', process.execPath, '-e', TIMES, host, String(port));
  await child.ended;
  return JSON.parse(child.output);
}

const rivals = [
  ['direct TCP', async () => ({ host: IP.b, port: 5201, watched: [], children: [] })],
  ['awl tunnel (UDX)', tunnel],
  ...(has('sshd') ? [['ssh -L', ssh]] : []),
  ...(has('openvpn') ? [['OpenVPN', openvpn]] : []),
];

try {
  for (const side of ['a', 'b']) sh('ip', 'netns', 'add', NS[side]);
  sh('ip', 'link', 'add', 'v0', 'netns', NS.a, 'type', 'veth', 'peer', 'name', 'v0', 'netns', NS.b);
  for (const side of ['a', 'b']) {
    sh('ip', '-n', NS[side], 'addr', 'add', `${IP[side]}/24`, 'dev', 'v0');
    for (const link of ['lo', 'v0']) sh('ip', '-n', NS[side], 'link', 'set', link, 'up');
  }
  const paths = [];
  for (const [name, open] of rivals) {
    try {
      paths.push({ name, rates: [], ...(await open()) });
    } catch (error) {
      console.log(`${name}: left out: ${error.message}`);
    }
  }
  for (let round = 0; round < rounds; round++) {
    for (const path of paths) path.rates.push(await iperf(path.host, path.port));
  }
  const median = (list) => [...list].sort((x, y) => x - y)[list.length >> 1];
  const own = median(paths.find(({ name }) => name.startsWith('awl')).rates);
  console.log('| path | Mbit/s, median (min-max) | awl is times this | peak RSS MiB |\n|---|---|---|---|');
  for (const { name, rates, watched } of paths) {
    const [low, high] = [Math.min(...rates), Math.max(...rates)].map((rate) => rate.toFixed(0));
    const ratio = (own / median(rates)).toFixed(2);
    console.log(
      `| ${name} | ${median(rates).toFixed(0)} (${low}-${high}) | ${ratio} | ${peakMb(...watched).join(' / ')} |`,
    );
  }
  const echo = start('b', process.execPath, '-e', ECHO);
  await until('the echo', () => echo.output.includes('ready'));
  const [direct, through] = [await times(IP.b, 5300), await times('127.0.0.1', 6300)];
  console.log('\n| median, ms | direct | through the tunnel |\n|---|---|---|');
  for (const [i, what] of ['UDP there and back', 'first byte of a new connection'].entries()) {
    console.log(`| ${what} | ${direct[i]} | ${through[i]} |`);
  }
} finally {
  await stop(...children);
  for (const side of ['a', 'b']) spawnSync('ip', ['netns', 'del', NS[side]]);
  rmSync(folder, { recursive: true, force: true });
}
