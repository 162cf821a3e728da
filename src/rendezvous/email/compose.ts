import { AwlError } from '../../errors.js';
import { isNamePart } from '../../identity/names.js';
import type { Letter, LetterKind } from '../types.js';

/** The second word of a mail's subject for each kind of letter. */
export interface SubjectTokens {
  readonly invite: string;
  readonly accept: string;
}

export const DEFAULT_TOKENS: SubjectTokens = { invite: 'invite', accept: 'accept' };

// A header line must stay one line and must come back unencoded: printable ASCII, no blanks at the ends.
const SUBJECT_TEXT = /^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/;

function header(text: string, what: string): string {
  if (SUBJECT_TEXT.test(text)) return text;
  throw new AwlError('USAGE_BAD_VALUE', `${what} ${JSON.stringify(text)} cannot stand in a mail's subject`, {
    hint: 'use 1 to 128 printable ASCII characters, no line breaks and no blank at either end',
  });
}

/** `<app> <token>`, spec c.1; what sender and receiver both compare exactly. */
export function subjectOf(app: string, kind: LetterKind, tokens: SubjectTokens): string {
  return `${header(app, 'the application id')} ${header(tokens[kind], 'the subject token')}`;
}

/** The MIME boundary of plexus: `----` and the lower-case hex of the owner's bytes, spec c.2. */
export function boundaryOf(owner: string): string {
  return `----${Buffer.from(owner, 'utf8').toString('hex')}`;
}

function address(owner: string, pin: string): string {
  for (const part of [owner, pin]) {
    if (!isNamePart(part)) {
      throw new AwlError('IDENTITY_NAME', `${JSON.stringify(part)} cannot be an owner or a pin`);
    }
  }
  if (!/^[^@]+@[^@]+$/.test(owner)) {
    throw new AwlError('IDENTITY_NAME', `the owner "${owner}" is not a mail address`, {
      hint: 'over e-mail the owner of an identity must be the address of its mailbox, for example me@example.org',
    });
  }
  return `${pin} <${owner}>`;
}

/** RFC 5322 date in UTC; `toUTCString` differs only in the zone's spelling. */
function mailDate(date: Date): string {
  return date.toUTCString().replace(/GMT$/, '+0000');
}

/**
 * The mail that carries a letter, CRLF throughout, byte for byte what plexus sends (spec c.2), followed by the
 * headers that mail providers ask for. `Auto-Submitted` (RFC 3834) keeps holiday responders quiet.
 * @throws AwlError IDENTITY_NAME, USAGE_BAD_VALUE for names that cannot stand in a header
 */
export function composeMail(
  letter: Letter,
  o: { readonly date: Date; readonly messageId: string; readonly tokens?: SubjectTokens },
): string {
  const boundary = boundaryOf(letter.from.owner);
  const sealed = letter.form === 'smime';
  const lines = [
    `From: ${address(letter.from.owner, letter.from.pin)}`,
    `To: ${address(letter.to.owner, letter.to.pin)}`,
    `Subject: ${subjectOf(letter.app, letter.kind, o.tokens ?? DEFAULT_TOKENS)}`,
    ...(sealed ? ['MIME-Version: 1.0', `Content-Type: multipart/mixed; boundary=${boundary}`] : []),
    `Date: ${mailDate(o.date)}`,
    `Message-ID: <${o.messageId}@${letter.from.owner.replace(/^.*@/, '')}>`,
    'Auto-Submitted: auto-generated',
    '',
  ];
  const text = Buffer.from(letter.bytes).toString('latin1').replace(/\r?\n/g, '\r\n');
  if (sealed) lines.push(`--${boundary}`, text, `--${boundary}--`, '');
  else lines.push(text, '');
  return lines.join('\r\n');
}
