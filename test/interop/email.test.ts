import { spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLogger } from '../../src/log.js';
import { openEmail } from '../../src/rendezvous/email/backend.js';
import type { EmailSettings } from '../../src/rendezvous/email/settings.js';
import type { Letter, LetterFilter, Rendezvous } from '../../src/rendezvous/types.js';
import {
  ALICE,
  BOB,
  CONTEXT,
  canonical,
  entity,
  filterFor,
  invitation,
  Listening,
} from '../support/backend-contract.js';
import { certify } from '../support/certify.js';
import { foreignMail, letterMail } from '../support/mails.js';
import { MailServer } from '../support/mailserver.js';
import { needs } from '../support/needs.js';

const signal = () => AbortSignal.timeout(30_000);
const answerTo = (letter: Letter, text = 'YW5zd2Vy'): Letter => ({
  ...letter,
  kind: 'accept',
  from: letter.to,
  to: letter.from,
  bytes: entity(text),
});
const opened: Rendezvous[] = [];

async function open(settings: EmailSettings, timing = {}): Promise<Rendezvous> {
  const rendezvous = await openEmail(settings, CONTEXT, { reconnectBaseMs: 100, ...timing });
  opened.push(rendezvous);
  return rendezvous;
}

async function closeAll(): Promise<void> {
  for (const rendezvous of opened.splice(0)) await rendezvous.close();
}

describe.skipIf(!needs('dovecot', 'exim4', 'root'))('e-mail over real Dovecot and Exim', () => {
  let server: MailServer;
  beforeAll(async () => {
    server = await MailServer.start();
  });
  afterAll(async () => {
    await closeAll();
    await server?.close();
  });

  test('an invitation goes there and its answer comes back, between two accounts', async () => {
    const alice = await open(server.settings('alice'));
    const bob = await open(server.settings('bob'));
    const letter = invitation('roundtrip');
    await bob.prepare(signal());
    const invitations = new Listening(bob, { app: 'roundtrip', kind: 'invite', to: BOB, from: {} });
    const latencies: number[] = [];
    for (let i = 0; i < 5; i++) {
      await alice.prepare(signal());
      const sent = performance.now();
      await alice.push(letter, signal());
      const envelope = (await invitations.take(i + 1))[i];
      latencies.push(performance.now() - sent);
      expect(envelope).toMatchObject({ from: ALICE, to: BOB });
      await bob.push(answerTo(letter, `answer${i}`), signal());
      const answers = new Listening(alice, filterFor(answerTo(letter)));
      const [answer] = await answers.take(1);
      expect(canonical(answer?.bytes ?? Buffer.alloc(0))).toContain(`answer${i}`);
      await answer?.ack();
      await envelope?.ack();
      await answers.stop();
    }
    latencies.sort((a, b) => a - b);
    console.log(`push to envelope under IDLE: ${latencies.map((ms) => Math.round(ms)).join(' ')} ms`);
    // Dovecot alone waits 500 ms before it tells an idling client; polling would take 10 s or more.
    expect(latencies[2]).toBeLessThan(3000);
    await invitations.stop();
    await closeAll();
    expect(await server.count('alice')).toBe(0);
    expect(await server.count('bob')).toBe(0);
  });

  test('from the arrival in the mailbox to the envelope it takes well under a second', async () => {
    const bob = await open(server.settings('bob'));
    await bob.prepare(signal());
    const letters = new Listening(bob, filterFor(invitation('x')));
    await letters.take(1, 300);
    const latencies: number[] = [];
    for (let i = 0; i < 8; i++) {
      await server.deliver('bob', [letterMail()]);
      const arrived = performance.now();
      await letters.take(i + 1);
      latencies.push(performance.now() - arrived);
      await letters.got[i]?.ack();
    }
    latencies.sort((a, b) => a - b);
    console.log(`arrival to envelope: ${latencies.map((ms) => Math.round(ms)).join(' ')} ms`);
    expect(latencies[2]).toBeLessThan(1000);
    await letters.stop();
    await closeAll();
  });

  test('one account serves both sides: each gets only what is meant for it', async () => {
    const laptop = { owner: 'alice@awl.test', pin: 'laptop' };
    const nas = { owner: 'alice@awl.test', pin: 'nas' };
    const letter: Letter = { ...invitation('oneaccount'), from: laptop, to: nas };
    const one = await open(server.settings('alice'));
    const two = await open(server.settings('alice'));
    await one.prepare(signal());
    await two.prepare(signal());
    const invitations = new Listening(two, filterFor(letter));
    const answers = new Listening(one, filterFor(answerTo(letter)));
    await one.push(letter, signal());
    const [invited] = await invitations.take(1);
    await two.push(answerTo(letter), signal());
    const [answered] = await answers.take(1);
    expect([invited?.kind, answered?.kind]).toEqual(['invite', 'accept']);
    expect([invitations.got.length, answers.got.length]).toEqual([1, 1]);
    await invited?.ack();
    await answered?.ack();
    await invitations.stop();
    await answers.stop();
    await closeAll();
    expect(await server.count('alice')).toBe(0);
  });

  test('other subject tokens work on both sides', async () => {
    const tokens = { invite: 'hello', accept: 'welcome' };
    const alice = await open(server.settings('alice', { tokens }));
    const bob = await open(server.settings('bob', { tokens }));
    await bob.prepare(signal());
    const letters = new Listening(bob, filterFor(invitation('tokens')));
    await alice.push(invitation('tokens'), signal());
    const [envelope] = await letters.take(1);
    expect(envelope?.kind).toBe('invite');
    await envelope?.ack();
    await letters.stop();
    await closeAll();
  });

  const attempts = [
    ['prepare', (rendezvous: Rendezvous) => rendezvous.prepare(signal())],
    ['push', (rendezvous: Rendezvous) => rendezvous.push(invitation('x'), signal())],
  ] as const;

  test.each(attempts)(
    '%s with a wrong password is refused, says what to check, and not the password',
    async (_name, attempt) => {
      const bad = await open(server.settings('alice', { password: 'not-the-password' }));
      const error = await attempt(bad).then(
        () => undefined,
        (reason) => reason,
      );
      expect(error).toMatchObject({ code: 'RENDEZVOUS_REFUSED', hint: expect.stringContaining('password') });
      expect(`${error.message} ${error.stack} ${error.cause}`).not.toContain('not-the-password');
      await closeAll();
    },
  );

  test.each(attempts)(
    '%s trusts no server of another CA, nor the system’s CAs when one is pinned',
    async (_name, attempt) => {
      const other = certify('-subj', '/CN=other CA', '-keyout', '/dev/null');
      const { ca: _ca, ...unpinned } = server.settings('alice');
      for (const settings of [server.settings('alice', { ca: other }), unpinned]) {
        await expect(attempt(await open(settings))).rejects.toMatchObject({
          code: 'RENDEZVOUS_UNTRUSTED',
          hint: expect.stringContaining('--email-ca'),
        });
      }
      await closeAll();
    },
  );

  test.each(attempts)('%s trusts no certificate for another host name', async (_name, attempt) => {
    // The same servers under an address that their certificate does not name.
    const relay = createServer((socket) => {
      const inner = connect(server.imapsPort, '127.0.0.1');
      socket.pipe(inner).pipe(socket);
      for (const end of [socket, inner]) end.on('error', () => {});
    });
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.2', resolve));
    const address = relay.address();
    const other = { host: '127.0.0.2', port: typeof address === 'object' && address ? address.port : 0 };
    const bad = await open(server.settings('alice', { smtps: other, imaps: other }));
    await expect(attempt(bad)).rejects.toMatchObject({
      code: 'RENDEZVOUS_UNTRUSTED',
      hint: expect.stringContaining('another name than 127.0.0.2'),
    });
    await closeAll();
    await new Promise((resolve) => relay.close(resolve));
  });

  test.each(attempts)('%s works without any CA where --email-insecure was typed', async (_name, attempt) => {
    const { ca: _ca, ...unpinned } = server.settings('bob');
    await expect(attempt(await open({ ...unpinned, insecure: true }))).resolves.toBeUndefined();
    await closeAll();
  });

  test('a recipient whom the server does not know is a clear refusal', async () => {
    const alice = await open(server.settings('alice'));
    const letter = { ...invitation('x'), to: { owner: 'nobody@awl.test', pin: 'nas' } };
    await expect(alice.push(letter, signal())).rejects.toMatchObject({
      code: 'RENDEZVOUS_REFUSED',
      message: expect.stringContaining('no such recipient'),
    });
    await closeAll();
  });

  test('a port where nobody listens is unreachable within a second, not a hang', async () => {
    const nowhere = { host: '127.0.0.1', port: 9 };
    const bad = await open(server.settings('alice', { imaps: nowhere, smtps: nowhere }));
    await expect(bad.prepare(signal())).rejects.toMatchObject({ code: 'RENDEZVOUS_UNREACHABLE' });
    await closeAll();
  });

  test('a port without TLS is named as such', async () => {
    const plain = createServer((socket) => {
      socket.on('error', () => {});
      socket.resume().end('* OK hello\r\n');
    });
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    const address = plain.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const bad = await open(server.settings('alice', { imaps: { host: 'localhost', port } }));
    await expect(bad.prepare(signal())).rejects.toMatchObject({
      code: 'RENDEZVOUS_UNTRUSTED',
      hint: expect.stringContaining('does not speak TLS'),
    });
    await closeAll();
    await new Promise((resolve) => plain.close(resolve));
  });

  test('2 000 foreign mails and one of 5 MB neither stop, slow nor hide a good letter', async () => {
    const before = await server.count('bob');
    await server.deliver(
      'bob',
      Array.from({ length: 1000 }, (_, i) => foreignMail(i)),
    );
    const bob = await open(server.settings('bob'));
    await bob.prepare(signal());
    const filter: LetterFilter = filterFor(invitation('crowd'));
    const letters = new Listening(bob, filter);
    await letters.take(1, 300);
    await server.deliver('bob', [
      ...Array.from({ length: 500 }, (_, i) => foreignMail(i)),
      letterMail({ subject: 'crowd invite', text: 'early' }),
      ...Array.from({ length: 500 }, (_, i) => foreignMail(i)),
      letterMail({ subject: 'crowd invite', text: `${'x'.repeat(70)}\n`.repeat(70_000) }),
    ]);
    const alice = await open(server.settings('alice'));
    const sent = performance.now();
    await alice.push({ ...invitation('crowd'), bytes: entity('late') }, signal());
    const got = await letters.take(2, 20_000);
    console.log(`letter among 2 000 foreign mails: ${Math.round(performance.now() - sent)} ms`);
    expect(new Set(got.map(({ bytes }) => /early|late/.exec(canonical(bytes))?.[0]))).toEqual(
      new Set(['early', 'late']),
    );
    for (const envelope of got) await envelope.ack();
    await letters.stop();
    await closeAll();
    // 2 000 foreign ones and the large one are still there.
    await expect.poll(() => server.count('bob'), { timeout: 10_000 }).toBe(before + 2001);
    await server.rebuild('bob');
  }, 90_000);

  test('letters sent while the servers go down and up in between all arrive', async () => {
    const alice = await open(server.settings('alice'));
    const bob = await open(server.settings('bob'));
    await bob.prepare(signal());
    const letters = new Listening(bob, filterFor(invitation('restart')));
    await letters.take(1, 300);
    const restarting = server.restart();
    const pushing = [0, 1, 2].map((i) =>
      alice.push({ ...invitation('restart'), bytes: entity(`number${i}`) }, signal()),
    );
    await restarting;
    await Promise.all(pushing);
    const got = await letters.take(3, 20_000);
    // A mail may be taken by a server that dies before it says so; it is then sent again.
    expect(
      new Set(got.map(({ bytes }) => /number\d/.exec(canonical(bytes))?.[0])).size,
    ).toBeGreaterThanOrEqual(2);
    const more = await letters.take(4, 2000);
    expect(new Set(more.map(({ bytes }) => /number\d/.exec(canonical(bytes))?.[0]))).toEqual(
      new Set(['number0', 'number1', 'number2']),
    );
    await letters.stop();
    await closeAll();
  }, 60_000);

  test('a mailbox that was made anew gets a new position, and the next letter arrives', async () => {
    const lines: string[] = [];
    const log = createLogger({ write: (line) => lines.push(line) });
    const bob = await openEmail(server.settings('bob'), { ...CONTEXT, log }, { reconnectBaseMs: 100 });
    await bob.prepare(signal());
    const letters = new Listening(bob, filterFor(invitation('x')));
    await letters.take(1, 300);
    await server.stop();
    await server.rebuild('bob');
    // UIDVALIDITY is a time in whole seconds.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    await server.restart();
    await expect.poll(() => lines.some((line) => /renumbered/.test(line)), { timeout: 20_000 }).toBe(true);
    await server.deliver('bob', [letterMail({ text: 'anew' })]);
    expect(await letters.take(1)).toHaveLength(1);
    await letters.stop();
    await bob.close();
  }, 60_000);

  test('a process that only listens stays under 90 MB', async () => {
    // What users run is compiled; the test runner's own weight must stay out of it.
    const dist = new URL('../../dist/', import.meta.url);
    const script = `
      const { openEmail } = await import(${JSON.stringify(new URL('rendezvous/email/backend.js', dist).href)});
      const { silentLogger } = await import(${JSON.stringify(new URL('log.js', dist).href)});
      const settings = JSON.parse(process.env.SETTINGS);
      const signal = new AbortController().signal;
      const r = await openEmail(settings, { log: silentLogger, now: () => new Date() });
      await r.prepare(signal);
      setTimeout(() => { console.log(process.memoryUsage.rss()); process.exit(0); }, 3000);
      for await (const e of r.listen({ app: 'x', kind: 'invite', from: {}, to: {} }, signal)) e.ack();`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, SETTINGS: JSON.stringify(server.settings('bob')) },
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 20_000,
    });
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    await new Promise((resolve) => child.on('close', resolve));
    const mb = Number(out) / 1e6;
    console.log(`RSS of a listening process: ${mb.toFixed(1)} MB`);
    expect(mb).toBeGreaterThan(10);
    expect(mb).toBeLessThan(90);
  }, 60_000);
});

describe.skipIf(!needs('dovecot', 'exim4', 'root'))(
  'e-mail over servers that want a client certificate',
  () => {
    let server: MailServer;
    beforeAll(async () => {
      server = await MailServer.start({ mtls: true });
    });
    afterAll(async () => {
      await closeAll();
      await server?.close();
    });

    test('with certificate and key both directions work', async () => {
      const alice = await open(server.settings('alice', server.client));
      const bob = await open(server.settings('bob', server.client));
      await bob.prepare(signal());
      const letters = new Listening(bob, filterFor(invitation('mtls')));
      await alice.push(invitation('mtls'), signal());
      expect(await letters.take(1)).toHaveLength(1);
      await letters.stop();
      await closeAll();
    });

    test('without them both say what is missing', async () => {
      const bad = await open(server.settings('alice'));
      const failures = [
        await bad.prepare(signal()).catch((e) => e),
        await bad.push(invitation('x'), signal()).catch((e) => e),
      ];
      for (const error of failures) {
        expect(['RENDEZVOUS_REFUSED', 'RENDEZVOUS_UNTRUSTED']).toContain(error?.code);
        expect(`${error.message} ${error.hint}`).toMatch(/certificate/i);
      }
      await closeAll();
    });
  },
);

describe.skipIf(!needs('dovecot', 'exim4', 'root'))('e-mail over a server without IDLE and UIDPLUS', () => {
  let server: MailServer;
  beforeAll(async () => {
    server = await MailServer.start({ capability: 'IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN AUTH=LOGIN' });
  });
  afterAll(async () => {
    await closeAll();
    await server?.close();
  });

  test('letters are found by polling, and ack only marks them', async () => {
    const bob = await open(server.settings('bob', { pollMs: 300 }));
    await bob.prepare(signal());
    const letters = new Listening(bob, filterFor(invitation('x')));
    await letters.take(1, 500);
    await server.deliver('bob', [letterMail(), foreignMail()]);
    const arrived = performance.now();
    const [envelope] = await letters.take(1);
    expect(performance.now() - arrived).toBeLessThan(5000);
    expect(envelope?.kind).toBe('invite');
    await envelope?.ack();
    expect(await server.count('bob')).toBe(1);
    await letters.stop();
    await closeAll();
  });
});
