import { expect, test } from 'vitest';
import { AwlError } from '../../../../src/errors.js';
import { mailError } from '../../../../src/rendezvous/email/failure.js';

const server = { host: 'mail.example.org', port: 465 };
const settings = { smtps: server, imaps: server, login: 'me@example.org', password: 'hunter2secret' };
const map = (fields: object, message = 'boom') =>
  mailError(Object.assign(new Error(message), fields), 'reading mail', server, settings);

test.each([
  [
    'a wrong IMAP password',
    { authenticationFailed: true, serverResponseCode: 'AUTHENTICATIONFAILED' },
    'RENDEZVOUS_REFUSED',
  ],
  ['a wrong SMTP password', { code: 'EAUTH', responseCode: 535 }, 'RENDEZVOUS_REFUSED'],
  [
    'a login server that is down',
    { authenticationFailed: true, serverResponseCode: 'UNAVAILABLE' },
    'RENDEZVOUS_UNREACHABLE',
  ],
  ['an SMTP login put off', { code: 'EAUTH', responseCode: 454 }, 'RENDEZVOUS_UNREACHABLE'],
  ['an unknown recipient', { code: 'EENVELOPE', responseCode: 550 }, 'RENDEZVOUS_REFUSED'],
  ['greylisting', { code: 'EENVELOPE', responseCode: 451 }, 'RENDEZVOUS_UNREACHABLE'],
  ['an unknown CA', { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' }, 'RENDEZVOUS_UNTRUSTED'],
  ['a self-signed server', { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }, 'RENDEZVOUS_UNTRUSTED'],
  ['an expired server', { code: 'CERT_HAS_EXPIRED' }, 'RENDEZVOUS_UNTRUSTED'],
  ['another host name', { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }, 'RENDEZVOUS_UNTRUSTED'],
  [
    'a wanted client certificate',
    { code: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' },
    'RENDEZVOUS_UNTRUSTED',
  ],
  ['no TLS at all', { code: 'ERR_SSL_WRONG_VERSION_NUMBER' }, 'RENDEZVOUS_UNTRUSTED'],
  ['a refused connection', { code: 'ECONNREFUSED' }, 'RENDEZVOUS_UNREACHABLE'],
  ['an unknown host', { code: 'ENOTFOUND' }, 'RENDEZVOUS_UNREACHABLE'],
  ['a time limit', { code: 'CONNECT_TIMEOUT' }, 'RENDEZVOUS_UNREACHABLE'],
])('%s gets its diagnosis, the server’s name and a cure', (_name, fields, code) => {
  const error = map(fields);
  expect(error).toMatchObject({ code, exitCode: 69 });
  expect(error.message).toContain('mail.example.org:465');
  expect(error.hint).toBeTruthy();
});

test('a server that echoes the password gets it neither into the message nor into the cause', () => {
  const base64 = Buffer.from('hunter2secret').toString('base64');
  const error = map({ responseText: `NO hunter2secret ${base64}` }, 'bad hunter2secret');
  expect(`${error.message} ${error.hint} ${String(error.cause)}`).not.toMatch(
    new RegExp(`hunter2|${base64}`),
  );
});

test('what the server says stays one short line', () => {
  const error = map({ response: `x\r\nFATAL forged\u2028line\x1b[2J ${'y'.repeat(5000)}` });
  expect(error.message).not.toMatch(/[\p{Cc}\p{Zl}]/u);
  expect(error.message.length).toBeLessThan(300);
});

test('an error that has its diagnosis already keeps it', () => {
  const original = new AwlError('RENDEZVOUS_UNREACHABLE', 'closed');
  expect(mailError(original, 'x', server, settings)).toBe(original);
});

test('things that are no errors at all are survived', () => {
  for (const thrown of [undefined, null, 'text', 7]) {
    expect(mailError(thrown, 'x', server, settings).code).toBe('RENDEZVOUS_UNREACHABLE');
  }
});
