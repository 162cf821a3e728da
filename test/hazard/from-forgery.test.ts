import { afterAll, beforeAll, expect, test } from 'vitest';
import { openEmail } from '../../src/rendezvous/email/backend.js';
import { CONTEXT, filterFor, invitation, Listening } from '../support/backend-contract.js';
import { FakeImap } from '../support/fake-imap.js';
import { letterMail } from '../support/mails.js';

let server: FakeImap;

beforeAll(async () => {
  server = await FakeImap.start();
});
afterAll(() => server?.close());

const FORGED = [
  [
    'an owner that contains the peer’s (the real plexus 3.1.4 fell for it)',
    { from: 'laptop <xalice@awl.test>' },
  ],
  ['an owner in other case', { from: 'laptop <Alice@awl.test>' }],
  ['a pin that contains the peer’s', { from: 'laptop2 <alice@awl.test>' }],
  ['the peer’s address as display name', { from: '"laptop <alice@awl.test>" <mallory@evil.test>' }],
  ['a second From', { more: 'From: mallory <mallory@evil.test>\n' }],
  ['a group address', { from: 'laptop: alice@awl.test;' }],
  ['an encoded display name', { from: '=?utf-8?q?laptop?= <alice@awl.test>' }],
  ['a path as pin', { from: '../../../etc <alice@awl.test>' }],
  ['another recipient', { to: 'nas <bob@elsewhere.test>' }],
  ['another pin of the recipient', { to: 'nas2 <bob@awl.test>' }],
  ['a subject that contains ours', { subject: 'Re: x invite' }],
  ['a subject that goes on', { subject: 'x invite please' }],
  ['an app in other case', { subject: 'X invite' }],
  ['two blanks in the subject', { subject: 'x  invite' }],
  ['the other kind', { subject: 'x accept' }],
] as const;

test.each(FORGED)('a mail with %s opens nothing', async (_name, forged) => {
  const rendezvous = await openEmail(server.settings(), CONTEXT);
  await rendezvous.prepare(AbortSignal.timeout(20_000));
  const letters = new Listening(rendezvous, filterFor(invitation('x')));
  server.deliver(letterMail(forged));
  server.deliver(letterMail({ text: 'genuine' }));
  const [first] = await letters.take(1);
  expect(Buffer.from(first?.bytes ?? []).toString()).toContain('genuine');
  expect(letters.got).toHaveLength(1);
  await first?.ack();
  await letters.stop();
  await rendezvous.close();
  server.mails = [];
});
