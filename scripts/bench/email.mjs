// E-mail as the rendezvous, with a real Exim and Dovecot, through two port-restricted kernel NATs (root):
// what awl itself adds to mail delivery between an invitation in the mailbox and both programs running,
// and what an idle acceptor weighs.
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createIdentity, exportIdentity, trustIdentity } from '../../dist/identity/onboarding.js';
import { parseName } from '../../dist/index.js';

const root = resolve(import.meta.dirname, '../..');
const rounds = Number(process.argv[2] ?? 5);
const awl = join(root, 'dist/cli/main.js');
const netlab = join(root, 'scripts/netlab');
const mailserver = join(root, 'scripts/mailserver');
const work = mkdtempSync(join(tmpdir(), 'awl-bench-'));
chmodSync(work, 0o711);
const lab = `bench${process.pid}`;
const ip = '192.0.2.10';
const children = new Set();
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
const inLab = (role, ...command) =>
  execFileSync(netlab, ['exec', '-n', lab, role, '--', ...command], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });

function start(role, args) {
  const child = spawn(netlab, ['exec', '-n', lab, role, '--', process.execPath, awl, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const state = { child, events: {}, log: '' };
  let rest = '';
  child.stdout.on('data', (data) => {
    const lines = (rest + data).split('\n');
    rest = lines.pop();
    for (const line of lines) {
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
  children.add(child);
  return state;
}
async function until(state, name, count = 1) {
  for (let waited = 0; (state.events[name]?.length ?? 0) < count; waited += 5) {
    if (waited > 30_000) throw new Error(`no ${name}\n${state.log}`);
    await sleep(5);
  }
}
/** When the newest mail of a user was put into the mailbox, by the file's own time. */
function newestMail(user, since) {
  const times = ['new', 'cur', 'tmp'].flatMap((folder) => {
    const path = join(work, 'mail/home', user, 'Maildir', folder);
    try {
      return readdirSync(path).map((name) => statSync(join(path, name)).birthtimeMs);
    } catch {
      return [];
    }
  });
  return times.filter((time) => time >= since).sort((a, b) => b - a)[0];
}

try {
  const names = { a: parseName('alice@plexus.test/laptop'), b: parseName('bob@plexus.test/nas') };
  const repos = { a: join(work, 'a'), b: join(work, 'b') };
  for (const side of ['a', 'b']) await createIdentity(repos[side], names[side]);
  await trustIdentity(repos.b, await exportIdentity(repos.a, names.a));
  await trustIdentity(repos.a, await exportIdentity(repos.b, names.b));
  execFileSync(netlab, ['up', '-n', lab, '--a', 'port-restricted', '--b', 'port-restricted', '--hops', '6']);
  inLab('s', mailserver, 'start', join(work, 'mail'), ip);
  start('s', ['stun-server', `--listen=${ip}`, '--listen=192.0.2.11']);
  await sleep(500);
  const flags = (side, user) => {
    const password = join(work, `${user}.password`);
    writeFileSync(password, `${user}pw\n`, { mode: 0o600 });
    const [host, peer] = side === 'a' ? [names.a, names.b] : [names.b, names.a];
    return [
      '--json',
      '--app-id=bench',
      `--app-repo=${repos[side]}`,
      `--state-dir=${join(work, `state-${side}`)}`,
      `--host-info=${host.owner}/${host.pin}`,
      `--peer-info=${peer.owner}/${peer.pin}`,
      `--stun-server=${ip}`,
      `--email-smtps=${ip}:9465`,
      `--email-imaps=${ip}:9993`,
      `--email-login=${user}@plexus.test`,
      `--email-password-file=${password}`,
      `--email-ca=${join(work, 'mail/tls/ca.crt')}`,
      '--exec-command=sleep',
      '--exec-args=0.3',
    ];
  };
  const bob = start('b', ['--accept', ...flags('b', 'bob')]);
  await until(bob, 'listening');
  await sleep(15_000);
  const rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${bob.child.pid}/status`, 'utf8'))[1]) / 1024;
  console.log(`acceptor idle on e-mail for 15 s: ${rss.toFixed(0)} MB RSS (to stay at or under 90)`);

  const whole = [];
  const invitationToRun = [];
  for (let round = 1; round <= rounds; round++) {
    const since = Date.now();
    const alice = start('a', flags('a', 'alice'));
    let invited;
    let answered;
    const watching = setInterval(() => {
      invited ??= newestMail('bob', since);
      answered ??= newestMail('alice', since);
    }, 5);
    await until(alice, 'payload-started');
    await until(bob, 'payload-started', round);
    clearInterval(watching);
    await alice.ended;
    const running = Math.max(alice.events['payload-started'][0], bob.events['payload-started'][round - 1]);
    whole.push(running - since);
    if (invited) invitationToRun.push(running - invited);
    if (invited && answered) {
      console.log(
        `round ${round}: start to both running ${running - since} ms; invitation in mailbox to both running ${(running - invited).toFixed(0)} ms, of which answer in mailbox to both running ${(running - answered).toFixed(0)} ms`,
      );
    }
  }
  console.log(`median of ${rounds}: start to both programs running ${median(whole)} ms`);
  console.log(
    `median: invitation in the mailbox to both running ${median(invitationToRun).toFixed(0)} ms; this includes the delivery of the answer and two IDLE notices that Dovecot holds back for 0.5 s each`,
  );
} finally {
  for (const child of children) child.kill('SIGTERM');
  try {
    execFileSync(mailserver, ['stop', join(work, 'mail')], { stdio: 'ignore' });
  } catch {}
  execFileSync(netlab, ['down', '-n', lab]);
  rmSync(work, { recursive: true, force: true });
}
