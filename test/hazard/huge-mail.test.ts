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

async function listening(options: FakeOptions = {}): Promise<{ server: FakeImap; letters: Listening }> {
  fake = await FakeImap.start(options);
  rendezvous = await openEmail(fake.settings(), CONTEXT, {
    reconnectBaseMs: 20,
    stepMs: 2000,
    connectMs: 2000,
  });
  await rendezvous.prepare(AbortSignal.timeout(20_000));
  return { server: fake, letters: new Listening(rendezvous, FILTER) };
}

test('not a byte of a mail beyond the cap is fetched, whatever its headers promise', async () => {
  const { server, letters } = await listening();
  const big = server.deliver(letterMail({ text: 'x'.repeat(100_000) }));
  const good = server.deliver(letterMail());
  expect(await letters.take(1)).toHaveLength(1);
  const fetched = server.log.filter((line) => /HEADER|TEXT/.test(line) && line.startsWith('UID FETCH'));
  expect(fetched.some((line) => new RegExp(`UID FETCH ${good.uid} `).test(line))).toBe(true);
  expect(fetched.every((line) => !new RegExp(`UID FETCH (?:\\S*,)?${big.uid}[ ,]`).test(line))).toBe(true);
  await letters.stop();
});

test('a mail of 64 kB with one line is read, and passed over without harm', async () => {
  const { server, letters } = await listening();
  server.deliver(letterMail({ more: `X-Long: ${'y'.repeat(40_000)}\n`, text: 'z'.repeat(20_000) }));
  server.deliver(letterMail({ text: 'good' }));
  expect(await letters.take(2)).toHaveLength(2);
  await letters.stop();
});

test('a server that lies about the size is cut off, and the good mail behind it still arrives', async () => {
  const { server, letters } = await listening();
  server.deliver(letterMail({ text: 'x'.repeat(600_000) }), { size: 1000 });
  server.deliver(letterMail({ text: 'good' }));
  const [envelope] = await letters.take(1);
  expect(Buffer.from(envelope?.bytes ?? []).toString()).toContain('good');
  await letters.stop();
  expect(letters.got).toHaveLength(1);
});

test('a mail that breaks the connection whenever it is read is passed over; those around it arrive', async () => {
  let poison = 0;
  const { server, letters } = await listening({
    hook: (command, line) =>
      command === 'UID FETCH' &&
      /HEADER|TEXT/.test(line) &&
      (line.split(' ')[3] ?? '').split(',').includes(String(poison))
        ? 'drop'
        : undefined,
  });
  server.deliver(letterMail({ text: 'before' }));
  await letters.take(1);
  poison = server.deliver(letterMail({ text: 'poison' })).uid;
  server.deliver(letterMail({ text: 'after' }));
  const got = await letters.take(2);
  expect(got.map(({ bytes }) => /before|after|poison/.exec(Buffer.from(bytes).toString())?.[0])).toEqual([
    'before',
    'after',
  ]);
  await letters.stop();
});

test('a literal of 4 GB that a server announces ends that connection and nothing else', async () => {
  let once = true;
  const { server, letters } = await listening({
    hook: (command, line) => {
      if (!once || command !== 'UID FETCH' || !line.includes('TEXT')) return undefined;
      once = false;
      return '* 1 FETCH (UID 1 BODY[TEXT] {4294967295}\r\n';
    },
  });
  server.deliver(letterMail());
  expect(await letters.take(1)).toHaveLength(1);
  expect(server.connections).toBe(2);
  await letters.stop();
});

test('an answer line without an end does not fill the memory', async () => {
  let once = true;
  const { server, letters } = await listening({
    hook: (command) => {
      if (!once || command !== 'NOOP') return undefined;
      once = false;
      return `* OK ${'x'.repeat(1_000_000)}`;
    },
  });
  server.deliver(letterMail());
  expect(await letters.take(1)).toHaveLength(1);
  expect(server.connections).toBeGreaterThan(1);
  await letters.stop();
});
