import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { boundaryOf, composeMail, subjectOf } from '../../../../src/rendezvous/email/compose.js';
import { extractLetter, parseHeaders } from '../../../../src/rendezvous/email/extract.js';
import type { Letter } from '../../../../src/rendezvous/types.js';

const captured = (name: string) =>
  readFileSync(new URL(`../../../fixtures/plexus/email/${name}`, import.meta.url), 'latin1');
const alice = { owner: 'alice@px.test', pin: 'pinA' };
const bob = { owner: 'bob@px.test', pin: 'pinB' };
const DATE = new Date('2026-11-21T09:00:00Z');
const ADDED =
  'Date: Sat, 21 Nov 2026 09:00:00 +0000\r\nMessage-ID: <id@px.test>\r\nAuto-Submitted: auto-generated\r\n';

/** The entity in a captured mail, byte for byte. */
function entityOf(mail: string): Buffer {
  const start = mail.indexOf('\r\n', mail.indexOf('\r\n\r\n') + 4) + 2;
  return Buffer.from(mail.slice(start, mail.lastIndexOf('\r\n------')), 'latin1');
}

test.each([
  ['invite-alice-to-bob.eml', 'invite', alice, bob],
  ['accept-bob-to-alice.eml', 'accept', bob, alice],
] as const)('%s: a sealed mail is what the real plexus sends, byte for byte', (file, kind, from, to) => {
  const theirs = captured(file);
  const letter: Letter = { app: 'pxapp', kind, from, to, form: 'smime', bytes: entityOf(theirs) };
  const ours = composeMail(letter, { date: DATE, messageId: 'id' });
  expect(ours).toContain(ADDED);
  expect(ours.replace(ADDED, '')).toBe(theirs);
});

test.each([
  ['plain-invite.eml', 'invite', alice, bob],
  ['plain-accept.eml', 'accept', bob, alice],
] as const)('%s: so is a plain one', (file, kind, from, to) => {
  const theirs = captured(file);
  const bytes = Buffer.from(theirs.slice(theirs.indexOf('\r\n\r\n') + 4).trimEnd());
  const ours = composeMail(
    { app: 'pxapp', kind, from, to, form: 'plain', bytes },
    { date: DATE, messageId: 'id' },
  );
  expect(ours.replace(ADDED, '').trimEnd()).toBe(theirs.trimEnd());
});

test('the headers that plexus reads come first and From stands right before To', () => {
  const letter: Letter = {
    app: 'ssh',
    kind: 'invite',
    from: alice,
    to: bob,
    form: 'smime',
    bytes: Buffer.from('x'),
  };
  const names = composeMail(letter, { date: DATE, messageId: 'id' })
    .split('\r\n\r\n')[0]
    ?.split('\r\n')
    .map((line) => line.split(':')[0]);
  expect(names?.slice(0, 5)).toEqual(['From', 'To', 'Subject', 'MIME-Version', 'Content-Type']);
});

test('bare line feeds never reach the server', () => {
  const letter: Letter = {
    app: 'ssh',
    kind: 'invite',
    from: alice,
    to: bob,
    form: 'smime',
    bytes: Buffer.from('a\nb'),
  };
  expect(composeMail(letter, { date: DATE, messageId: 'id' }).replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
});

test('other subject tokens are used as told', () => {
  expect(subjectOf('ssh', 'accept', { invite: 'hello', accept: 'hi-back' })).toBe('ssh hi-back');
});

test('the boundary is the hex of the owner', () => {
  expect(boundaryOf('alice@px.test')).toBe('----616c6963654070782e74657374');
});

test.each([
  ['an app with a line break', { app: 'x\r\nBcc: all@example.org' }],
  ['an app with a bare CR', { app: 'x\rBcc: all@example.org' }],
  ['an app that begins with a blank', { app: ' x' }],
  ['an app beyond ASCII', { app: 'Müller' }],
  ['an empty app', { app: '' }],
  ['a pin with a line break', { from: { ...alice, pin: 'p\r\nBcc: x' } }],
  ['a pin with an angle bracket', { to: { ...bob, pin: 'p<evil@example.org>' } }],
  ['an owner with a second address', { to: { ...bob, owner: 'a@b,c@d' } }],
  ['an owner that is no address', { to: { ...bob, owner: 'bob' } }],
  ['an owner with two @', { from: { ...alice, owner: 'a@b@c' } }],
])('%s is refused before it becomes a header', (_name, change) => {
  const letter: Letter = {
    app: 'x',
    kind: 'invite',
    from: alice,
    to: bob,
    form: 'plain',
    bytes: Buffer.from('x'),
  };
  expect(() => composeMail({ ...letter, ...change }, { date: DATE, messageId: 'id' })).toThrow(
    expect.objectContaining({ name: 'AwlError' }),
  );
});

test('what is composed is read back, names and bytes', () => {
  const bytes = Buffer.from(
    'Content-Type: application/x-pkcs7-mime; smime-type=enveloped-data\r\n\r\n.AAAA\r\n-- \r\n',
  );
  const mail = composeMail(
    { app: 'ssh', kind: 'invite', from: alice, to: bob, form: 'smime', bytes },
    { date: DATE, messageId: 'id' },
  );
  const cut = mail.indexOf('\r\n\r\n') + 4;
  const headers = parseHeaders(Buffer.from(mail.slice(0, cut)));
  expect(headers).toMatchObject({ subject: 'ssh invite', from: alice, to: bob });
  const letter = extractLetter(Buffer.from(mail.slice(cut)), headers?.contentType);
  expect(letter?.form).toBe('smime');
  expect(Buffer.from(letter?.bytes ?? []).toString()).toBe(bytes.toString());
});
