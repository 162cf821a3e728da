import { MESSAGE_MAX_DEPTH, MESSAGE_MAX_PARTS } from '../../constants.js';
import { type IdentityName, isNamePart } from '../../identity/names.js';
import type { LetterForm } from '../types.js';

/** The header fields that a mail is judged by; everything here was written by a stranger. */
export interface MailHeaders {
  readonly subject: string;
  readonly from: IdentityName;
  readonly to: IdentityName;
  readonly contentType: string | undefined;
  /** Content-* fields as they stood, for a mail whose body is the sealed entity itself. */
  readonly contentFields: readonly string[];
}

/** Fields that {@link parseHeaders} wants to see. */
export const HEADER_FIELDS: readonly string[] = [
  'Subject',
  'From',
  'To',
  'Content-Type',
  'Content-Transfer-Encoding',
  'Content-Disposition',
];

const PKCS7 = /^application\/(?:x-)?pkcs7-mime\b/i;
// RFC 2046 section 5.1.1: 1 to 70 of these characters, no blank at the end.
const BOUNDARY = /;\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;"]{1,70}))\s*(?:;|$)/i;

function fields(text: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const line of text
    .replace(/\r\n/g, '\n')
    .replace(/\n[ \t]+/g, ' ')
    .split('\n')) {
    const colon = line.indexOf(':');
    if (colon <= 0) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    const values = found.get(name);
    if (values) values.push(line.slice(colon + 1).trim());
    else found.set(name, [line.slice(colon + 1).trim()]);
  }
  return found;
}

/** `pin <owner>`; providers may put the pin into quotes. */
function mailbox(value: string): IdentityName | undefined {
  const match = /^(?:"([^"\\<>]+)"|([^"<>\s]+))\s*<([^<>\s]+)>$/.exec(value);
  const pin = match?.[1] ?? match?.[2];
  const owner = match?.[3];
  if (pin === undefined || owner === undefined || !isNamePart(pin) || !isNamePart(owner)) return undefined;
  return { owner, pin };
}

/**
 * Reads Subject, From and To, each of which must be there exactly once and, for the addresses, be `pin <owner>` within
 * the charset of names. Undefined for any other mail.
 */
export function parseHeaders(raw: Uint8Array): MailHeaders | undefined {
  const found = fields(Buffer.from(raw).toString('latin1'));
  const single = (name: string) => {
    const values = found.get(name);
    return values?.length === 1 ? values[0] : undefined;
  };
  const subject = single('subject');
  const from = mailbox(single('from') ?? '');
  const to = mailbox(single('to') ?? '');
  if (subject === undefined || !from || !to || (found.get('content-type')?.length ?? 0) > 1) return undefined;
  const contentFields = [...found]
    .filter(([name]) => name.startsWith('content-'))
    .flatMap(([name, values]) => values.map((value) => `${name}: ${value}`));
  return { subject, from, to, contentType: single('content-type'), contentFields };
}

/** The parts between the delimiter lines; undefined where there is none or there are more than the cap. */
function parts(body: string, boundary: string): string[] | undefined {
  const lines = body.split('\n');
  const found: string[][] = [];
  let current: string[] | undefined;
  for (const line of lines) {
    const text = line.trimEnd();
    if (text === `--${boundary}--`) break;
    if (text === `--${boundary}`) {
      if (found.length === MESSAGE_MAX_PARTS) return undefined;
      current = [];
      found.push(current);
    } else {
      current?.push(line);
    }
  }
  return found.length === 0 ? undefined : found.map((part) => part.join('\n'));
}

function entity(body: string, contentType: string, depth: number): string | undefined {
  const match = BOUNDARY.exec(contentType);
  const boundary = match?.[1] ?? match?.[2];
  if (boundary === undefined || depth > MESSAGE_MAX_DEPTH) return undefined;
  for (const part of parts(body, boundary) ?? []) {
    const end = part.startsWith('\n') ? 0 : part.indexOf('\n\n');
    const type = end < 0 ? undefined : fields(part.slice(0, end)).get('content-type');
    if (type?.length !== 1 || type[0] === undefined) continue;
    if (PKCS7.test(type[0])) return part;
    // A provider's disclaimer or list footer wraps the original in one more multipart.
    const inner = /^multipart\//i.test(type[0]) ? entity(part.slice(end + 2), type[0], depth + 1) : undefined;
    if (inner !== undefined) return inner;
  }
  return undefined;
}

/**
 * What the sender sealed, out of the text of a mail (IMAP `BODY[TEXT]`): the first PKCS#7 entity of a multipart, the mail
 * itself if it is one, or the bare text of a mail that is no multipart. Line ends come back as CRLF in an entity, which
 * plexus and OpenSSL read either way. Undefined if there is nothing of ours in it. Boundary and nesting may differ from
 * what was sent: providers re-wrap.
 */
export function extractLetter(
  text: Uint8Array,
  contentType: string | undefined,
  contentFields: readonly string[] = [],
): { readonly form: LetterForm; readonly bytes: Uint8Array } | undefined {
  const body = Buffer.from(text).toString('latin1').replace(/\r\n/g, '\n');
  // plexus' reader goes by the first line alone; so a mail that lost its Content-Type is still read.
  const opening = /^--(\S{1,70})[ \t]*\n/.exec(body)?.[1];
  const type = contentType ?? (opening === undefined ? undefined : `multipart/mixed; boundary="${opening}"`);
  let found: string | undefined;
  if (type !== undefined && PKCS7.test(type)) found = [...contentFields, '', body].join('\n');
  else if (type !== undefined && /^multipart\//i.test(type)) found = entity(body, type, 1);
  else {
    const plain = body.trimEnd();
    return plain === '' ? undefined : { form: 'plain', bytes: Buffer.from(plain, 'latin1') };
  }
  return found === undefined
    ? undefined
    : { form: 'smime', bytes: Buffer.from(found.replace(/\n/g, '\r\n'), 'latin1') };
}
