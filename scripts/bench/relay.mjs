// A tunnel over awl's relay, over a direct path beside it, and Debian's coturn under its own load generator; all with
// three machines in kernel namespaces. Needs root, ip, nft, python3; coturn where it is there.
// Usage: npm run build && node scripts/bench/relay.mjs [MB]
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { introduce, Lab, partyFlags, SERVER, sleep } from '../lab.mjs';

const megabytes = Number(process.argv[2] ?? 32);
const [SOURCE, LOCAL, TURN] = [8000, 8080, 3490];
const CLIENTS = 20;
const MESSAGES = 500;
const SERVE = `require('node:net').createServer((s) => s.on('error', () => {}).end(Buffer.alloc(${megabytes} << 20))).listen(${SOURCE}, '127.0.0.1', () => console.log('ready'));`;
const FETCH = `const begun = performance.now(); let bytes = 0;
  require('node:net').connect(${LOCAL}, '127.0.0.1').on('data', (data) => { bytes += data.length; })
    .on('close', () => console.log(JSON.stringify({ bytes, ms: performance.now() - begun })));`;

/** Seconds of processor time of a process so far. */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** UDP datagrams that the namespace of a process received so far. */
function received(pid) {
  const lines = readFileSync(`/proc/${pid}/net/snmp`, 'utf8').split('\n');
  return Number(lines.filter((line) => line.startsWith('Udp:'))[1].split(' ')[1]);
}

/** Processor time per datagram that came in at the machine in between, while `work` runs. */
async function costOf(pid, work) {
  const before = { cpu: cpuSeconds(pid), count: received(pid) };
  const result = await work();
  const count = received(pid) - before.count;
  return { result, count, us: ((cpuSeconds(pid) - before.cpu) * 1e6) / count };
}

/** One file through a tunnel; the machine in between runs `awl hub`. */
async function tunnel(folder, name, nat, route) {
  const lab = new Lab(`relay${process.pid}${name}`, [`--a=${nat}`, `--b=${nat}`, '--hops=6']);
  try {
    const hub = lab.awl(
      's',
      'hub',
      `--listen=${SERVER}`,
      '--listen=192.0.2.11',
      '--relay',
      `--app-repo=${join(folder, 'a')}`,
    );
    while (!hub.log.includes('the relay serves')) await sleep(20);
    lab.start('b', process.execPath, '-e', SERVE);
    const side = (role, ...args) =>
      lab.awl(
        role,
        ...['--app-id=bench', ...partyFlags(folder, role), '--rendezvous=file', '--udp-only'],
        `--file-dir=${Lab.folder(join(folder, name))}`,
        `--state-dir=${Lab.folder(join(folder, `${name}-${role}`))}`,
        ...args,
      );
    const bob = side('b', '--accept', '--once', `--route=${route}`, `--export=${SOURCE}`);
    await lab.until(bob, 'listening');
    const alice = side('a', `--relay-server=${SERVER}`, `--route=${route}`, `--import=${LOCAL}:${SOURCE}`);
    await lab.until(alice, 'tunnel-open');
    const { result, count, us } = await costOf(hub.child.pid, () =>
      lab.run('a', process.execPath, '-e', FETCH),
    );
    const { bytes, ms } = JSON.parse(result);
    if (bytes !== megabytes << 20) throw new Error(`${bytes} bytes arrived\n${alice.log}`);
    const how = alice.events.passage[0].how;
    const cost = route === 'relay' ? `, ${us.toFixed(0)} us of the hub a datagram (${count})` : '';
    console.log(`tunnel, ${how}: ${((bytes * 8) / ms / 1000).toFixed(0)} Mbit/s${cost}`);
  } finally {
    lab.down();
  }
}

/** coturn relays between clients of its own generator; each message goes to the relay and from there to the other one. */
async function coturn(folder) {
  const lab = new Lab(`relay${process.pid}t`, ['--a=port-restricted', '--b=port-restricted', '--hops=6']);
  try {
    const server = lab.start(
      's',
      ...['turnserver', '-n', '-L', SERVER, '-p', String(TURN), '-a', '-u', 'user:word', '-r', 'bench'],
      ...['--no-tls', '--no-dtls', '--no-cli', '-l', 'stdout', '--pidfile', join(folder, 'turn.pid')],
    );
    await sleep(1500);
    const words = ['-u', 'user', '-w', 'word', '-y', '-n', String(MESSAGES), '-m', String(CLIENTS)];
    const args = ['turnutils_uclient', ...words, '-l', '1200', '-z', '2', '-p', String(TURN), SERVER];
    const { result, count, us } = await costOf(server.child.pid, async () => lab.run('a', ...args));
    const lost = /Total lost packets (\d+)/.exec(result)?.[1] ?? '?';
    console.log(
      `coturn, ${CLIENTS} clients of turnutils_uclient: ${us.toFixed(0)} us a datagram (${count}, lost ${lost})`,
    );
  } finally {
    lab.down();
  }
}

const folder = mkdtempSync(join(tmpdir(), 'awl-relay-'));
try {
  await introduce(folder);
  await tunnel(folder, 'r', 'symmetric', 'relay');
  await tunnel(folder, 'd', 'port-restricted', 'either');
  const there = spawnSync('sh', ['-c', 'command -v turnserver && command -v turnutils_uclient']).status === 0;
  if (there) await coturn(folder);
  else console.log('coturn is not installed');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
