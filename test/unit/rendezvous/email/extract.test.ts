import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { extractLetter, parseHeaders } from '../../../../src/rendezvous/email/extract.js';

const captured = (name: string) =>
  readFileSync(new URL(`../../../fixtures/plexus/email/${name}`, import.meta.url), 'latin1');
const halves = (mail: string) => {
  const cut = mail.indexOf('\r\n\r\n') + 4;
  return { head: Buffer.from(mail.slice(0, cut), 'latin1'), text: Buffer.from(mail.slice(cut), 'latin1') };
};
const PART = 'Content-Type: application/x-pkcs7-mime; smime-type=enveloped-data\n\nMIAGCSq\n';
const CRLF_PART = PART.replaceAll('\n', '\r\n');
const head = (lines: string) => parseHeaders(Buffer.from(lines));
const extract = (text: string, type?: string) => extractLetter(Buffer.from(text, 'latin1'), type);
const textOf = (letter: { bytes: Uint8Array } | undefined) =>
  Buffer.from(letter?.bytes ?? []).toString('latin1');

test('the real plexus invitation yields its names and its S/MIME entity', () => {
  const { head: headers, text } = halves(captured('invite-alice-to-bob.eml'));
  const parsed = parseHeaders(headers);
  expect(parsed).toMatchObject({
    subject: 'pxapp invite',
    from: { owner: 'alice@px.test', pin: 'pinA' },
    to: { owner: 'bob@px.test', pin: 'pinB' },
  });
  const letter = extractLetter(text, parsed?.contentType);
  expect(letter?.form).toBe('smime');
  expect(textOf(letter)).toMatch(/^MIME-Version: 1\.0\r\nContent-Disposition: attachment/);
  expect(textOf(letter)).toContain('\r\n\r\nMIAGCSq');
});

test('it does so from the text alone, as plexus’ reader, when a provider dropped the Content-Type', () => {
  const { text } = halves(captured('accept-bob-to-alice.eml'));
  expect(textOf(extractLetter(text, undefined))).toContain('MIAGCSq');
});

test('the real plain invitation is plain, without a line end', () => {
  const { text } = halves(captured('plain-invite.eml'));
  expect(extractLetter(text, undefined)).toEqual({
    form: 'plain',
    bytes: Buffer.from('PLEXUS 3.0 203.0.113.10 5021 6168032636984578873'),
  });
});

test.each([
  [
    'another, quoted boundary',
    'multipart/mixed; boundary="=_new one"',
    `--=_new one\n${PART}\n--=_new one--\n`,
  ],
  ['a preamble', 'multipart/mixed; boundary=b', `This is a multi-part message.\n\n--b\n${PART}\n--b--\n`],
  [
    'a disclaimer part after it',
    'multipart/mixed; boundary=b',
    `--b\n${PART}\n--b\nContent-Type: text/plain\n\nlegal\n--b--\n`,
  ],
  [
    'a disclaimer part before it',
    'multipart/mixed; boundary=b',
    `--b\nContent-Type: text/plain\n\nlegal\n--b\n${PART}\n--b--\n`,
  ],
  [
    'one more multipart around',
    'multipart/mixed; boundary=o',
    `--o\nContent-Type: multipart/mixed;\n boundary=i\n\n--i\n${PART}\n--i--\n\n--o--\n`,
  ],
  ['a lost closing line', 'multipart/mixed; boundary=b', `--b\n${PART}\n`],
  ['CRLF line ends', 'multipart/mixed; boundary=b', `--b\r\n${CRLF_PART}\r\n--b--\r\n`],
  ['trailing blanks after the boundary', 'multipart/mixed; boundary=b', `--b \n${PART}\n--b-- \n`],
])('the entity survives %s', (_name, type, text) => {
  expect(textOf(extract(text, type)).trimEnd()).toBe(CRLF_PART.trimEnd());
});

test('a mail that is the entity itself is put together again', () => {
  const type = 'application/pkcs7-mime; smime-type=enveloped-data';
  const letter = extractLetter(Buffer.from('MIAGCSq\r\n'), type, [`content-type: ${type}`]);
  expect(letter?.form).toBe('smime');
  expect(textOf(letter)).toBe(`content-type: ${type}\r\n\r\nMIAGCSq\r\n`);
});

test.each([
  [
    'a multipart without an entity',
    'multipart/mixed; boundary=b',
    '--b\nContent-Type: text/plain\n\nPLEXUS 3.0 1.2.3.4 5 6\n--b--\n',
  ],
  ['a multipart without a boundary', 'multipart/mixed', PART],
  ['a multipart whose boundary never comes', 'multipart/mixed; boundary=b', PART],
  ['nothing', undefined, '\r\n\r\n'],
  [
    'an entity with two content types',
    'multipart/mixed; boundary=b',
    `--b\nContent-Type: text/plain\n${PART}\n--b--\n`,
  ],
  ['a part that is only a line', 'multipart/mixed; boundary=b', '--b\n--b--'],
])('%s holds no letter', (_name, type, text) => {
  expect(extract(text, type)).toBeUndefined();
});

test('a thousand parts or a thousand nested multiparts end the reading, not the program', () => {
  expect(extract(`--b\n\n`.repeat(1000) + PART, 'multipart/mixed; boundary=b')).toBeUndefined();
  const nested = Array.from(
    { length: 1000 },
    (_, i) => `--b${i}\nContent-Type: multipart/mixed; boundary=b${i + 1}\n\n`,
  );
  expect(extract(`${nested.join('')}--b1000\n${PART}`, 'multipart/mixed; boundary=b0')).toBeUndefined();
});

test('a mail never becomes a plain letter because its multipart was broken', () => {
  expect(extract('--b\nPLEXUS 3.0 203.0.113.66 5555 1\n--b--\n')).toBeUndefined();
});

test.each([
  ['quoted pins', 'From: "pinA" <a@px.test>\r\nTo: "pinB" <b@px.test>\r\nSubject: x invite\r\n\r\n'],
  [
    'other case and folding',
    'FROM:pinA\r\n <a@px.test>\r\nto:  pinB <b@px.test>\r\nSUBJECT: x\r\n invite\r\n\r\n',
  ],
])('%s are read', (_name, lines) => {
  expect(head(lines)).toMatchObject({ subject: 'x invite', from: { owner: 'a@px.test', pin: 'pinA' } });
});

const GOOD = { from: 'From: pinA <a@px.test>', to: 'To: pinB <b@px.test>', subject: 'Subject: x invite' };
test.each([
  ['two From lines', { ...GOOD, more: 'From: pinC <c@px.test>' }],
  ['two Subject lines', { ...GOOD, more: 'Subject: y invite' }],
  ['no To', { ...GOOD, to: '' }],
  ['no pin', { ...GOOD, from: 'From: <a@px.test>' }],
  ['two recipients', { ...GOOD, to: 'To: pinB <b@px.test>, pinC <c@px.test>' }],
  ['a path as pin', { ...GOOD, from: 'From: ../../etc <a@px.test>' }],
  ['a path as owner', { ...GOOD, from: 'From: pinA <../alice>' }],
  ['a pin that begins with a dash', { ...GOOD, from: 'From: -rf <a@px.test>' }],
  ['an escaped quote', { ...GOOD, from: 'From: "pin\\"A" <a@px.test>' }],
  ['a NUL in a pin', { ...GOOD, from: 'From: pin\0A <a@px.test>' }],
  ['a pin of 65 characters', { ...GOOD, from: `From: ${'p'.repeat(65)} <a@px.test>` }],
  ['two content types', { ...GOOD, more: 'Content-Type: text/plain\r\nContent-Type: multipart/mixed' }],
])('headers with %s are nobody’s', (_name, lines) => {
  expect(head(`${Object.values(lines).join('\r\n')}\r\n\r\n`)).toBeUndefined();
});
