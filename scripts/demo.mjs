// Runs the main job end to end and tells it in plain words. As root with ip, nft and python3: through two real
// kernel NATs in namespaces, the default way over a DHT of its own, then over real e-mail if Dovecot and Exim are
// installed. Otherwise over loopback.
import { execFileSync, spawn } from 'node:child_process';
import { accessSync, chmodSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const awl = join(root, 'dist/cli/main.js');
const payload = join(root, 'scripts/demo-payload.mjs');
const netlab = join(root, 'scripts/netlab');
const work = mkdtempSync(join(tmpdir(), 'awl-demo-'));
const lab = `demo${process.pid}`;
const children = [];
const machines = [];
const began = performance.now();
const mailDir = join(work, 'mail');
const seconds = (since) => `${((performance.now() - since) / 1000).toFixed(2)} s`;
const say = (text) => console.log(text);

const onPath = (program) =>
  [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'].some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
const force = process.argv[2];
const nats = force !== '--loopback' && process.getuid?.() === 0 && ['ip', 'nft', 'python3'].every(onPath);
const mail = nats && ['dovecot', 'exim4', 'openssl'].every(onPath);

function run(file, args, options = {}) {
  return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], ...options });
}
/** A command in one of the lab's machines, or here when there is no lab. */
const inside = (role, file, args) =>
  nats ? [netlab, ['exec', '-n', lab, role, '--', file, ...args]] : [file, args];

function start(role, args, onEvent) {
  const [file, full] = inside(role, process.execPath, [awl, ...args]);
  const child = spawn(file, full, { stdio: ['ignore', 'pipe', 'pipe'] });
  children.push(child);
  const state = { child, log: '', events: [] };
  machines.push(state);
  let rest = '';
  child.stdout.on('data', (data) => {
    rest += data;
    for (let at = rest.indexOf('\n'); at >= 0; at = rest.indexOf('\n')) {
      const line = rest.slice(0, at);
      rest = rest.slice(at + 1);
      try {
        const event = JSON.parse(line);
        state.events.push(event);
        onEvent?.(event);
      } catch {
        state.log += `${line}\n`;
      }
    }
  });
  child.stderr.on('data', (data) => (state.log += data));
  state.ended = new Promise((done) => child.on('close', (code) => done(code)));
  return state;
}
async function until(what, ms, test) {
  const limit = performance.now() + ms;
  while (performance.now() < limit) {
    if (test()) return;
    await new Promise((done) => setTimeout(done, 20));
  }
  const said = machines.map((machine) => machine.log).join('\n');
  throw new Error(`${what} did not happen within ${ms / 1000} s\n${said}`);
}

/** A private real mail server in the lab; gives the e-mail flags of both sides. */
function startMail() {
  // The mail daemons run as users of their own and must be able to pass through.
  chmodSync(work, 0o711);
  const ip = '192.0.2.10';
  const [file, args] = inside('s', join(root, 'scripts/mailserver'), ['start', mailDir, ip]);
  run(file, args);
  const env = Object.fromEntries(
    run(join(root, 'scripts/mailserver'), ['env', mailDir, ip])
      .trim()
      .split(/\s+/)
      .map((pair) => pair.split('=')),
  );
  const account = (user) => {
    const password = join(work, `${user}.password`);
    writeFileSync(password, `${user}pw\n`, { mode: 0o600 });
    return [
      `--email-smtps=${ip}:${env.SMTPS_PORT}`,
      `--email-imaps=${ip}:${env.IMAPS_PORT}`,
      `--email-login=${user}@plexus.test`,
      `--email-password-file=${password}`,
      `--email-ca=${env.MAIL_CA}`,
    ];
  };
  return { a: account('alice'), b: account('bob') };
}

let failure;
try {
  const repoA = join(work, 'alice', 'repo');
  const repoB = join(work, 'bob', 'repo');
  const alice = 'alice@plexus.test/laptop';
  const bob = 'bob@plexus.test/nas';
  let step = performance.now();
  for (const [repo, name] of [
    [repoA, alice],
    [repoB, bob],
  ])
    run(process.execPath, [awl, 'id', 'init', name, `--app-repo=${repo}`]);
  for (const [from, name, to] of [
    [repoA, alice, repoB],
    [repoB, bob, repoA],
  ]) {
    const bundle = run(process.execPath, [awl, 'id', 'export', name, `--app-repo=${from}`]);
    const file = join(work, 'bundle.txt');
    writeFileSync(file, bundle);
    run(process.execPath, [awl, 'id', 'trust', file, `--app-repo=${to}`]);
  }
  say(`1. Two identities made and exchanged: ${alice} and ${bob} (${seconds(step)})`);

  step = performance.now();
  const address = nats ? '192.0.2.10' : '127.0.0.1';
  const stunPort = nats ? 3478 : 20000 + (process.pid % 20000);
  const dhtPort = nats ? 49737 : stunPort + 2;
  if (nats) run(netlab, ['up', '-n', lab, '--a', 'port-restricted', '--b', 'port-restricted', '--hops', '6']);
  const server = start('s', [
    'stun-server',
    `--listen=${address}`,
    ...(nats ? ['--listen=192.0.2.11'] : []),
    `--port=${stunPort}`,
    `--alt-port=${stunPort + 1}`,
  ]);
  await until('the STUN server', 5000, () => /ready/.test(server.log));
  if (nats) {
    const node = start('s', ['dht-node', `--listen=${address}`, `--port=${dhtPort}`]);
    await until('the DHT node', 5000, () => /ready/.test(node.log));
  }
  say(
    nats
      ? `2. Two real kernel NATs (port-restricted), 6 internet hops, a STUN server and a DHT node (${seconds(step)})`
      : `2. A STUN server on loopback, and a shared folder as the rendezvous: no root or no nft here, so no NATs (${seconds(step)})`,
  );

  const common = ['--app-id=demo', `--stun-server=${address}:${stunPort}`, '--json', '--log-level=info'];
  const command = (mode) => [
    `--exec-command=${process.execPath}`,
    `--exec-args='${payload}' ${mode} %innerip% %innerport% %peerip% %peerport%`,
  ];
  const sides = {
    a: [
      `--app-repo=${repoA}`,
      `--host-info=${alice}`,
      `--peer-info=${bob}`,
      `--state-dir=${join(work, 'a')}`,
    ],
    b: [
      `--app-repo=${repoB}`,
      `--host-info=${bob}`,
      `--peer-info=${alice}`,
      `--state-dir=${join(work, 'b')}`,
    ],
  };

  /** One whole session over one rendezvous; tells what happened and gives the passage. */
  async function session(number, way, flags) {
    step = performance.now();
    const acceptor = start('b', [
      '--accept',
      '--once',
      ...sides.b,
      ...common,
      ...flags.b,
      ...command('echo'),
    ]);
    await until('the acceptor listening', 15_000, () =>
      acceptor.events.some((event) => event.event === 'listening'),
    );
    say(`${number}. bob waits for invitations over ${way} (${seconds(step)}); alice invites him:`);
    step = performance.now();
    const times = {};
    const initiator = start('a', [...sides.a, ...common, ...flags.a, ...command('hello')], (event) => {
      times[event.event] ??= performance.now() - step;
    });
    const limit = setTimeout(() => {
      for (const child of children) child.kill();
    }, 45_000);
    const [statusA, statusB] = [await initiator.ended, await acceptor.ended];
    clearTimeout(limit);
    const passage = initiator.events.find((event) => event.event === 'passage');
    const logs = `--- alice\n${initiator.log}\n--- bob\n${acceptor.log}`;
    if (statusA !== 0 || statusB !== 0 || !passage) {
      throw new Error(`alice ended with ${statusA}, bob with ${statusB}\n${logs}`);
    }
    const at = (name) =>
      (times[name] === undefined ? '-' : `${(times[name] / 1000).toFixed(2)} s`).padStart(7);
    say(`     ${at('stun')}  own public endpoint known (STUN): ${passage.outer}
     ${at('invited')}  invitation sealed and handed over
     ${at('answered')}  bob's answer arrived and verified
     ${at('passage')}  passage open to ${passage.alien} (${passage.how}${passage.confirmed ? ', confirmed by both keys' : ''})
     ${at('payload-started')}  payload started on ${passage.inner}
     ${at('payload-ended')}  payload ended`);
    const words = `${initiator.log}${acceptor.log}`.split('\n').filter((line) => /^(hello|echo):/.test(line));
    for (const line of words) say(`              ${line}`);
    if (!words.some((line) => line.startsWith('hello: 3')))
      throw new Error(`the payload did not report\n${logs}`);
    return { passage, toPassage: at('passage').trim() };
  }

  const folder = join(work, 'rendezvous');
  const inFolder = [
    '--rendezvous=file',
    `--file-dir=${folder}`,
    '--allow-loopback',
    '--stun-client=127.0.0.1:0',
  ];
  const overDht = [`--dht-bootstrap=${address}:${dhtPort}`];
  const first = nats
    ? await session(3, 'the DHT (no account, no server)', { a: overDht, b: overDht })
    : await session(3, 'the folder', { a: inFolder, b: inFolder });
  if (mail) await session(4, 'e-mail (Exim and Dovecot)', startMail());

  const { passage } = first;
  const end = (text) => text.padEnd(22);
  say(
    nats
      ? `
   ${end('alice')}${end('alice’s NAT')}                ${end('bob’s NAT')}bob
   ${end(passage.inner.replace('0.0.0.0', '192.168.10.2'))}${end(passage.outer)}<=== UDP ===>    ${end(passage.alien)}192.168.20.2
                    \\                       no server between                        /
                     '-------- sealed letters over the DHT, STUN at ${address} --------'
`
      : `
   alice ${passage.inner}  <=== UDP, no server between ===>  ${passage.alien} bob
        '---- sealed letters through a shared folder, STUN at ${address}:${stunPort} ----'
`,
  );
  say(`It worked: ${seconds(began)} in all, ${first.toPassage} from alice's start to the passage.`);
} catch (error) {
  failure = error;
} finally {
  for (const child of children) if (child.exitCode === null) child.kill('SIGTERM');
  if (mail) {
    try {
      run(join(root, 'scripts/mailserver'), ['stop', mailDir], { stdio: 'ignore' });
    } catch {}
  }
  if (nats) {
    try {
      run(netlab, ['down', '-n', lab], { stdio: 'ignore' });
    } catch {}
  }
  if (process.env.AWL_DEMO_KEEP) say(`kept: ${work}`);
  else rmSync(work, { recursive: true, force: true });
}
if (failure) {
  console.error(`\nThe demo failed: ${failure.message}`);
  process.exitCode = 1;
}
