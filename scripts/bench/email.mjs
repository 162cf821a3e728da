// E-mail as the rendezvous, with a real Exim and Dovecot, through two port-restricted kernel NATs (root):
// what awl itself adds to mail delivery between an invitation in the mailbox and both programs running,
// and what an idle acceptor weighs.
import { execFileSync } from 'node:child_process';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { median, root, rssOf, SERVER, sleep, withLab } from './lab.mjs';

const rounds = Number(process.argv[2] ?? 5);
const mailserver = join(root, 'scripts/mailserver');

await withLab(async (lab) => {
  const mail = join(lab.folder, 'mail');
  const flags = (role, user) => {
    const password = join(lab.folder, `${user}.password`);
    writeFileSync(password, `${user}pw\n`, { mode: 0o600 });
    return [
      ...lab.side(role),
      `--email-smtps=${SERVER}:9465`,
      `--email-imaps=${SERVER}:9993`,
      `--email-login=${user}@plexus.test`,
      `--email-password-file=${password}`,
      `--email-ca=${join(mail, 'tls/ca.crt')}`,
    ];
  };
  /** When the newest mail of a user was put into the mailbox, by the file's own time. */
  const newestMail = (user, since) => {
    const times = ['new', 'cur', 'tmp'].flatMap((folder) => {
      const path = join(mail, 'home', user, 'Maildir', folder);
      try {
        return readdirSync(path).map((name) => statSync(join(path, name)).birthtimeMs);
      } catch {
        return [];
      }
    });
    return times.filter((time) => time >= since).sort((a, b) => b - a)[0];
  };
  try {
    lab.run('s', mailserver, 'start', mail, SERVER);
    const bob = lab.awl('b', '--accept', ...flags('b', 'bob'));
    await lab.until(bob, 'listening');
    await sleep(15_000);
    console.log(
      `acceptor idle on e-mail for 15 s: ${rssOf(bob.child.pid).toFixed(0)} MB RSS (goal: 90 or less)`,
    );
    const whole = [];
    const invitationToRun = [];
    for (let round = 1; round <= rounds; round++) {
      const since = Date.now();
      const alice = lab.awl('a', ...flags('a', 'alice'));
      let invited;
      const watching = setInterval(() => {
        invited ??= newestMail('bob', since);
      }, 5);
      await lab.until(alice, 'payload-started');
      await lab.until(bob, 'payload-started', round);
      clearInterval(watching);
      await alice.ended;
      const running = Math.max(
        alice.events['payload-started'][0].at,
        bob.events['payload-started'][round - 1].at,
      );
      whole.push(running - since);
      if (invited) invitationToRun.push(running - invited);
    }
    console.log(`start to both programs running: median of ${rounds} ${median(whole)} ms`);
    console.log(`invitation in the mailbox to both running: median ${median(invitationToRun).toFixed(0)} ms`);
    console.log(
      '  with the delivery of the answer, and two IDLE notices that Dovecot holds back for 0.5 s each',
    );
  } finally {
    execFileSync(mailserver, ['stop', mail], { stdio: 'ignore' });
  }
});
