import { afterEach, expect, test } from 'vitest';
import { openEmail } from '../../src/rendezvous/email/backend.js';
import type { Rendezvous } from '../../src/rendezvous/types.js';
import { CONTEXT, filterFor, invitation, Listening } from '../support/backend-contract.js';
import { FakeImap, type FakeOptions } from '../support/fake-imap.js';
import { letterMail } from '../support/mails.js';

const FILTER = filterFor(invitation('x'));
let fake: FakeImap | undefined;
let rendezvous: Rendezvous | undefined;

afterEach(async () => {
  await rendezvous?.close();
  await fake?.close();
});

async function start(options: FakeOptions = {}, login = 'bob@awl.test', password = 'hunter2secret') {
  fake = await FakeImap.start(options);
  rendezvous = await openEmail(fake.settings({ login, password }), CONTEXT, {
    reconnectBaseMs: 20,
    stepMs: 400,
    connectMs: 1500,
  });
  return { server: fake, backend: rendezvous };
}

test.each([
  ['a tagged OK', '\nA5 OK done\n5 OK FETCH completed\n'],
  ['an untagged EXPUNGE', '\n* 1 EXPUNGE\n* BYE ends here\n'],
  ['a FETCH answer', '\n)\n* 9 FETCH (UID 9 BODY[TEXT] {5}\nhello)\n'],
  ['a literal marker', '\n{4294967295}\n{0}\n'],
  ['NULs and eight-bit bytes', '\n\0\0\xff\xfe\n'],
])('%s inside a mail’s text stays text', async (_name, injected) => {
  const { server, backend } = await start();
  await backend.prepare(AbortSignal.timeout(20_000));
  const letters = new Listening(backend, FILTER);
  server.deliver(letterMail({ text: `begin${injected}end` }));
  server.deliver(letterMail({ text: 'second' }));
  const got = await letters.take(2);
  expect(got).toHaveLength(2);
  expect(Buffer.from(got[0]?.bytes ?? []).toString('latin1')).toContain(
    `begin${injected.replaceAll('\n', '\r\n')}end`,
  );
  expect(server.connections).toBe(1);
  await letters.stop();
});

test('a password of quotes, backslashes and blanks reaches the server as one argument', async () => {
  const password = 'p"\\ w {3}*%()';
  const { server, backend } = await start({}, 'bob "the" <b@c>', password);
  await backend.prepare(AbortSignal.timeout(20_000));
  const login = server.log.find((line) => line.startsWith('LOGIN'));
  expect(login).toContain('"bob \\"the\\" <b@c>" "p\\"\\\\ w {3}*%()"');
});

test('a line break in the login never becomes a second command', async () => {
  const { server, backend } = await start({}, 'bob\r\nA9 DELETE INBOX', 'secret\r\nA8 LOGOUT');
  await backend.prepare(AbortSignal.timeout(5000)).catch(() => {});
  expect(server.log.filter((line) => /^(?:DELETE|LOGOUT) /.test(line))).toEqual([]);
});

test.each([
  [
    'answers with the tag of another command',
    (tag: string) => `A${Number(tag) + 7} OK done\r\n${tag} OK done\r\n`,
  ],
  [
    'invents mails',
    (tag: string) => `* 4294967295 EXISTS\r\n* 99999999999999999999 EXISTS\r\n${tag} OK done\r\n`,
  ],
  ['expunges what never was', (tag: string) => `* 77 EXPUNGE\r\n* -1 EXPUNGE\r\n${tag} OK done\r\n`],
  ['sends nonsense', (tag: string) => `* \0\x01 ((((((\r\n* NIL NIL NIL\r\n${tag} OK done\r\n`],
  [
    'answers FETCH with mails that nobody asked for',
    (tag: string) => `* 1 FETCH (UID 4000000000 RFC822.SIZE 5)\r\n${tag} OK done\r\n`,
  ],
  ['says NO', (tag: string) => `${tag} NO not now\r\n`],
  ['says BYE', () => '* BYE see you\r\n'],
])('a server that once %s does not lose the next good mail', async (_name, answer) => {
  let armed = true;
  const { server, backend } = await start({
    hook: (command, _line, tag) => {
      if (!armed || command !== 'NOOP') return undefined;
      armed = false;
      return answer(tag);
    },
  });
  await backend.prepare(AbortSignal.timeout(20_000));
  const letters = new Listening(backend, FILTER);
  server.deliver(letterMail());
  expect(await letters.take(1)).toHaveLength(1);
  expect(armed).toBe(false);
  await letters.stop();
});

const STEPS = ['GREETING', 'CAPABILITY', 'LOGIN', 'LIST', 'SELECT', 'FETCH', 'NOOP', 'UID FETCH', 'IDLE'];

test.each(STEPS.flatMap((step) => [[step, 'drop'] as const, [step, 'hang'] as const]))(
  'a server that fails in %s with a %s is left and tried again, and no letter is lost',
  async (step, fault) => {
    // The first connection must get through `prepare`; the fault then waits for the second.
    let armed = false;
    let hit = 0;
    const { server, backend } = await start({
      hook: (command) => {
        if (!armed || command !== step) return undefined;
        armed = false;
        hit++;
        return fault;
      },
    });
    server.deliver('From: a@b\nSubject: was there before\n\nhello\n');
    await backend.prepare(AbortSignal.timeout(20_000));
    const early = ['GREETING', 'CAPABILITY', 'LOGIN', 'LIST', 'SELECT'].includes(step);
    if (early) server.cut();
    armed = true;
    const letters = new Listening(backend, FILTER);
    server.deliver(letterMail({ text: 'first' }));
    expect(await letters.take(1, 10_000)).toHaveLength(1);
    // IDLE begins when all is read; what comes after the fault must arrive as well.
    if (step === 'IDLE') {
      await expect.poll(() => hit, { timeout: 15_000 }).toBe(1);
      server.deliver(letterMail({ text: 'second' }));
      if (fault === 'drop') expect(await letters.take(2, 10_000)).toHaveLength(2);
    }
    expect(hit).toBe(1);
    await letters.stop();
  },
  20_000,
);

test.each(['GREETING', 'CAPABILITY', 'LOGIN', 'SELECT'])(
  'prepare gives up in time when the server hangs in %s',
  async (step) => {
    const { backend } = await start({ hook: (command) => (command === step ? 'hang' : undefined) });
    const begun = performance.now();
    await expect(backend.prepare(AbortSignal.timeout(10_000))).rejects.toMatchObject({
      code: 'RENDEZVOUS_UNREACHABLE',
    });
    expect(performance.now() - begun).toBeLessThan(4000);
  },
);

test('aborting prepare in the middle of a hanging login ends it at once', async () => {
  const { backend } = await start({ hook: (command) => (command === 'LOGIN' ? 'hang' : undefined) });
  const controller = new AbortController();
  const preparing = backend.prepare(controller.signal);
  setTimeout(() => controller.abort(new Error('changed my mind')), 200);
  await expect(preparing).rejects.toThrow('changed my mind');
});

test('without UIDPLUS a letter is only marked: a plain EXPUNGE would take other people’s mails', async () => {
  const { server, backend } = await start({ capability: 'IMAP4rev1 IDLE' });
  await backend.prepare(AbortSignal.timeout(20_000));
  const letters = new Listening(backend, FILTER);
  server.deliver(letterMail());
  const [envelope] = await letters.take(1);
  await envelope?.ack();
  expect(server.log.some((line) => /^UID STORE .*\+FLAGS\S* \(\\Deleted\)/.test(line))).toBe(true);
  expect(server.log.filter((line) => line.includes('EXPUNGE'))).toEqual([]);
  await letters.stop();
});

test('nothing but our own letters is ever marked or deleted', async () => {
  const { server, backend } = await start();
  await backend.prepare(AbortSignal.timeout(20_000));
  const letters = new Listening(backend, FILTER);
  server.deliver(letterMail({ from: 'laptop <xalice@awl.test>' }));
  server.deliver('From: a@b\nSubject: hello\n\nhello\n');
  const mine = server.deliver(letterMail());
  const [envelope] = await letters.take(1);
  await envelope?.ack();
  const touching = server.log.filter((line) => /STORE|EXPUNGE|CLOSE|COPY|MOVE|APPEND/.test(line));
  expect(touching.length).toBeGreaterThan(0);
  expect(touching.every((line) => new RegExp(`UID (?:STORE|EXPUNGE) ${mine.uid}\\b`).test(line))).toBe(true);
  expect(server.log.every((line) => !/BODY\[/.test(line))).toBe(true);
  await letters.stop();
});

test('a server that announces IDLE and refuses it is polled', async () => {
  const { server, backend } = await start({
    hook: (command, _line, tag) => (command === 'IDLE' ? `${tag} NO not today\r\n` : undefined),
  });
  await backend.close();
  const polling = await openEmail(server.settings({ pollMs: 50 }), CONTEXT, { recheckMs: 60_000 });
  await polling.prepare(AbortSignal.timeout(20_000));
  const letters = new Listening(polling, FILTER);
  await letters.take(1, 300);
  server.deliver(letterMail());
  expect(await letters.take(1, 3000)).toHaveLength(1);
  expect(server.log.filter((line) => line.startsWith('IDLE')).length).toBe(1);
  await letters.stop();
  await polling.close();
});

test('acks that cross with IDLE in every way never get stuck behind it', async () => {
  const { server, backend } = await start();
  await backend.prepare(AbortSignal.timeout(20_000));
  const letters = new Listening(backend, FILTER);
  for (let i = 0; i < 30; i++) {
    server.deliver(letterMail({ text: `number${i}` }));
    await letters.take(i + 1);
    // Sometimes while the reader is still at work, sometimes when it is about to idle, sometimes when it does.
    if (i % 3 > 0) await new Promise((resolve) => setTimeout(resolve, (i % 3) * 2));
    const acked = letters.got[i]?.ack();
    if (i % 2 === 0) await acked;
  }
  await expect.poll(() => server.mails.length, { timeout: 15_000 }).toBe(0);
  expect(server.connections).toBe(1);
  await letters.stop();
});
