import fc from 'fast-check';
import { expect, test } from 'vitest';
import { composeMail } from '../../src/rendezvous/email/compose.js';
import { extractLetter, parseHeaders } from '../../src/rendezvous/email/extract.js';

const bytes = fc.uint8Array({ maxLength: 4096 });
const line = fc.oneof(
  fc.constantFrom(
    'From: a <b@c>',
    'To: a <b@c>',
    'Subject: x invite',
    'Content-Type: multipart/mixed; boundary=b',
    ' folded',
    '--b',
    '--b--',
    '',
    'Content-Type: application/pkcs7-mime',
    ':',
    'Content-Type:',
  ),
  fc.string({ maxLength: 60 }),
);
const mailish = fc.array(line, { maxLength: 60 }).map((lines) => Buffer.from(lines.join('\r\n'), 'latin1'));
const name = fc.stringMatching(/^[A-Za-z0-9_@+][A-Za-z0-9._@+-]{0,20}$/);
const owner = fc.stringMatching(/^[A-Za-z0-9_+][A-Za-z0-9._+-]{0,20}@[a-z0-9.]{1,20}$/);

test('no bytes whatever make the header reader throw, and names it returns keep the charset', () => {
  fc.assert(
    fc.property(fc.oneof(bytes, mailish), (raw) => {
      const headers = parseHeaders(raw);
      for (const text of headers
        ? [headers.from.owner, headers.from.pin, headers.to.owner, headers.to.pin]
        : []) {
        expect(text).toMatch(/^[A-Za-z0-9_@+][A-Za-z0-9._@+-]{0,63}$/);
      }
    }),
    { numRuns: 3000 },
  );
});

test('no text and content type make the body reader throw, and it never returns more than it got', () => {
  fc.assert(
    fc.property(fc.oneof(bytes, mailish), fc.option(fc.string(), { nil: undefined }), (raw, type) => {
      const letter = extractLetter(raw, type);
      // Bare LF becomes CRLF: at most twice the size.
      expect(letter?.bytes.length ?? 0).toBeLessThanOrEqual(2 * raw.length + 2);
    }),
    { numRuns: 3000 },
  );
});

test('what is composed for any names is read back the same', () => {
  const text = fc.array(fc.stringMatching(/^[\x20-\x7e]{0,76}$/), { maxLength: 20 });
  fc.assert(
    fc.property(
      owner,
      name,
      owner,
      name,
      fc.stringMatching(/^[A-Za-z0-9._:-]{1,40}$/),
      text,
      (o1, p1, o2, p2, app, body) => {
        const from = { owner: o1, pin: p1 };
        const to = { owner: o2, pin: p2 };
        const entity = `Content-Type: application/pkcs7-mime\r\n\r\n${body.map((l) => `x${l}x`).join('\r\n')}`;
        const mail = composeMail(
          { app, kind: 'invite', from, to, form: 'smime', bytes: Buffer.from(entity) },
          { date: new Date(0), messageId: 'id' },
        );
        const cut = mail.indexOf('\r\n\r\n') + 4;
        const headers = parseHeaders(Buffer.from(mail.slice(0, cut)));
        expect(headers).toMatchObject({ from, to, subject: `${app} invite` });
        const letter = extractLetter(Buffer.from(mail.slice(cut)), headers?.contentType);
        expect(Buffer.from(letter?.bytes ?? []).toString()).toBe(entity);
      },
    ),
    { numRuns: 1000 },
  );
});

test.each([
  ['newlines and then a letter', `${'\n'.repeat(64_000)}x`],
  ['header lines of one name', 'a:\n'.repeat(21_000)],
  ['folded lines', `a: b\n${' \n'.repeat(32_000)}`],
  ['boundaries', `${'--b\n'.repeat(16_000)}`],
  ['blanks', `From: a${' '.repeat(60_000)}x`],
  ['semicolons', `Content-Type: multipart/mixed${'; '.repeat(30_000)}`],
])('64 kB of %s are read in no time: nothing is quadratic', (_name, text) => {
  const raw = Buffer.from(text);
  const begun = process.cpuUsage();
  parseHeaders(raw);
  extractLetter(raw, undefined);
  extractLetter(raw, 'multipart/mixed; boundary=b');
  extractLetter(Buffer.from('x'), text);
  const { user, system } = process.cpuUsage(begun);
  expect((user + system) / 1000).toBeLessThan(500);
});
