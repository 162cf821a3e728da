import { afterEach, expect, test } from 'vitest';
import { createLogger } from '../../src/log.js';
import { openEmail } from '../../src/rendezvous/email/backend.js';
import type { Rendezvous } from '../../src/rendezvous/types.js';
import { CONTEXT, filterFor, invitation, Listening } from '../support/backend-contract.js';
import { FakeImap } from '../support/fake-imap.js';
import { foreignMail, letterMail } from '../support/mails.js';

const FILTER = filterFor(invitation('x'));
let fake: FakeImap | undefined;
let rendezvous: Rendezvous | undefined;

afterEach(async () => {
  await rendezvous?.close();
  await fake?.close();
});

async function start(lines: string[] = []) {
  fake = await FakeImap.start();
  const log = createLogger({ level: 'debug', write: (line) => lines.push(line) });
  rendezvous = await openEmail(fake.settings(), { ...CONTEXT, log }, { reconnectBaseMs: 20 });
  return { server: fake, backend: rendezvous };
}

const flood = (server: FakeImap, count: number) => {
  for (let i = 0; i < count; i++) server.deliver(foreignMail(i));
};

test('of 3 000 mails that were there before, only the newest hundred are even asked for their size', async () => {
  const { server, backend } = await start();
  flood(server, 3000);
  await backend.prepare(AbortSignal.timeout(20_000));
  const letters = new Listening(backend, FILTER);
  server.deliver(letterMail());
  expect(await letters.take(1, 5000)).toHaveLength(1);
  const ranges = server.log
    .filter((line) => /^(?:UID )?FETCH/.test(line))
    .map((line) => line.split(' ').slice(0, 5));
  expect(ranges.flat().join(' ')).not.toMatch(/ 1:\*/);
  await letters.stop();
});

test('a good mail in front of, within and behind 3 000 new ones arrives; the last one first', async () => {
  const { server, backend } = await start();
  await backend.prepare(AbortSignal.timeout(20_000));
  server.deliver(letterMail({ text: 'front' }));
  flood(server, 1500);
  server.deliver(letterMail({ text: 'middle' }));
  flood(server, 1500);
  server.deliver(letterMail({ text: 'last' }));
  const letters = new Listening(backend, FILTER);
  const got = await letters.take(3, 15_000);
  expect(got.map(({ bytes }) => /front|middle|last/.exec(Buffer.from(bytes).toString())?.[0])).toEqual([
    'last',
    'middle',
    'front',
  ]);
  await letters.stop();
}, 30_000);

test('beyond 10 000 new mails the oldest are passed over, with a warning', async () => {
  const lines: string[] = [];
  const { server, backend } = await start(lines);
  await backend.prepare(AbortSignal.timeout(20_000));
  flood(server, 12_000);
  server.deliver(letterMail());
  const letters = new Listening(backend, FILTER);
  expect(await letters.take(1, 15_000)).toHaveLength(1);
  expect(lines.filter((line) => /2001 mails passed over/.test(line))).toHaveLength(1);
  await letters.stop();
}, 30_000);

test('an invitation that is older than its sender’s patience is not delivered to a late acceptor', async () => {
  const { server, backend } = await start();
  const ago = (s: number) => ({ arrivedAt: new Date(Date.now() - s * 1000) });
  server.deliver(letterMail({ text: 'stale' }), ago(90));
  server.deliver(letterMail({ text: 'waiting' }), ago(30));
  await backend.prepare(AbortSignal.timeout(20_000));
  const letters = new Listening(backend, FILTER);
  server.deliver(letterMail({ text: 'fresh' }));
  const got = await letters.take(2, 5000);
  expect(got.map(({ bytes }) => /stale|waiting|fresh/.exec(Buffer.from(bytes).toString())?.[0])).toEqual([
    'waiting',
    'fresh',
  ]);
  await letters.stop();
});

test('a mailbox that was renumbered is read on from its newest mail, and nothing is delivered twice', async () => {
  const lines: string[] = [];
  const { server, backend } = await start(lines);
  await backend.prepare(AbortSignal.timeout(20_000));
  const letters = new Listening(backend, FILTER);
  server.deliver(letterMail({ text: 'one' }));
  await letters.take(1);
  server.options.uidValidity = 8;
  server.cut();
  await expect.poll(() => lines.some((line) => /renumbered/.test(line)), { timeout: 15_000 }).toBe(true);
  server.deliver(letterMail({ text: 'two' }));
  const got = await letters.take(2, 5000);
  expect(got.map(({ bytes }) => /one|two/.exec(Buffer.from(bytes).toString())?.[0])).toEqual(['one', 'two']);
  await letters.stop();
});

test('a server that is down for long gets one warning and is asked ever less often', async () => {
  const lines: string[] = [];
  const { server, backend } = await start(lines);
  await backend.prepare(AbortSignal.timeout(20_000));
  const letters = new Listening(backend, FILTER);
  await letters.take(1, 100);
  await server.close();
  await letters.take(1, 1000);
  expect(lines.filter((line) => line.includes('WARNING'))).toHaveLength(1);
  // 20 ms, 40 ms, 80 ms ... of which at least half is waited: a second holds at most 7 of them.
  const tries = lines.filter((line) => line.includes('next try in'));
  expect(tries.length).toBeGreaterThan(1);
  expect(tries.length).toBeLessThanOrEqual(8);
  expect(lines.join('')).not.toContain('hunter2secret');
  await letters.stop();
});
