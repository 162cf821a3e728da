import { MESSAGE_MAX_BYTES, MESSAGE_MAX_PARTS } from '../constants.js';
import { AwlError } from '../errors.js';

/** A header value with parameters, such as `multipart/signed; boundary="x"`; names and `value` in lower case. */
export interface Parameterised {
  readonly value: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** One MIME entity, RFC 2045: headers by lower-case name, and the bytes after the empty line as they came. */
export interface Entity {
  readonly headers: ReadonlyMap<string, string>;
  readonly type: Parameterised;
  readonly body: Buffer;
}

/** Relays add Received, DKIM and ARC headers; 10 to 15 kB are common on forwarded mail. */
const HEADER_MAX_BYTES = 32 * 1024;
/** plexus' mail boundary is the owner in hex (spec c.2), so RFC 2046's 70 characters do not hold. */
const BOUNDARY_MAX_CHARS = 256;
const CR = 13;
const LF = 10;

function malformed(what: string): AwlError {
  return new AwlError('MESSAGE_MALFORMED', `the message is not well-formed MIME: ${what}`);
}

/** @throws AwlError MESSAGE_TOO_LARGE above {@link MESSAGE_MAX_BYTES} */
export function checkSize(bytes: Uint8Array): void {
  if (bytes.length <= MESSAGE_MAX_BYTES) return;
  throw new AwlError(
    'MESSAGE_TOO_LARGE',
    `a message of ${bytes.length} bytes; ${MESSAGE_MAX_BYTES} is the limit`,
  );
}

/** End of the line that starts at `from` (exclusive of its CRLF or LF), and where the next one starts. */
function lineAt(bytes: Buffer, from: number): { end: number; next: number } {
  const lf = bytes.indexOf(LF, from);
  if (lf < 0) return { end: bytes.length, next: bytes.length };
  return { end: lf > from && bytes[lf - 1] === CR ? lf - 1 : lf, next: lf + 1 };
}

/**
 * Splits headers and body; lines may end in CRLF or LF, folded headers are joined (RFC 5322 section 2.2.3).
 * Without a Content-Type it is text/plain, RFC 2045 section 5.2.
 * @throws AwlError MESSAGE_MALFORMED, also when a header that we read appears twice; MESSAGE_TOO_LARGE
 */
export function parseEntity(input: Uint8Array): Entity {
  checkSize(input);
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  const lines: string[] = [];
  let at = 0;
  for (;;) {
    const { end, next } = lineAt(bytes, at);
    if (next === bytes.length && end === next) throw malformed('no empty line after the headers');
    if (end > HEADER_MAX_BYTES) throw malformed('the headers are too long');
    const line = bytes.toString('latin1', at, end);
    at = next;
    if (line === '') break;
    if (/^[ \t]/.test(line) && lines.length > 0) lines.push(`${lines.pop()}${line}`);
    else lines.push(line);
  }
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    if (colon < 1 || !/^[!-9;-~]+$/.test(line.slice(0, colon)))
      throw malformed('a header line without a name');
    const name = line.slice(0, colon).toLowerCase();
    // Two readers that pick different ones of two would see two messages.
    if (name.startsWith('content-') && headers.has(name)) throw malformed(`two ${name} headers`);
    headers.set(name, line.slice(colon + 1).trim());
  }
  return {
    headers,
    type: parseParameterised(headers.get('content-type') ?? 'text/plain'),
    body: bytes.subarray(at),
  };
}

/**
 * Reads `value; name=token; name="quoted"`, RFC 2045 section 5.1 (comments are not supported).
 * @throws AwlError MESSAGE_MALFORMED
 */
export function parseParameterised(text: string): Parameterised {
  const value = /^[^\s;"]+/.exec(text)?.[0];
  if (value === undefined) throw malformed('an empty Content-Type');
  const parameters = new Map<string, string>();
  const next = /[ \t]*(?:;[ \t]*(?:([^\s;="]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+)))?|$)/y;
  for (let at = value.length; at < text.length; at = next.lastIndex) {
    next.lastIndex = at;
    const match = next.exec(text);
    if (!match) throw malformed('a Content-Type that cannot be read');
    const name = match[1]?.toLowerCase();
    if (name === undefined) continue;
    if (parameters.has(name)) throw malformed(`two ${name} parameters`);
    parameters.set(name, match[3] ?? (match[2] ?? '').replace(/\\(.)/g, '$1'));
  }
  return { value: value.toLowerCase(), parameters };
}

/**
 * The parts of a multipart body, RFC 2046 section 5.1.1: bytes between delimiter lines, without the line end
 * before a delimiter. Preamble and epilogue are dropped.
 * @throws AwlError MESSAGE_MALFORMED without boundary, closing delimiter or with more than MESSAGE_MAX_PARTS
 */
export function splitParts(entity: Entity): Buffer[] {
  const boundary = entity.type.parameters.get('boundary');
  if (!boundary || boundary.length > BOUNDARY_MAX_CHARS)
    throw malformed('a multipart without a usable boundary');
  const { body } = entity;
  const delimiter = Buffer.from(`--${boundary}`, 'latin1');
  const parts: Buffer[] = [];
  let start: number | undefined;
  for (let at = 0, previousEnd = 0; at < body.length; ) {
    const { end, next } = lineAt(body, at);
    const head = at + delimiter.length;
    if (end >= head && body.compare(delimiter, 0, delimiter.length, at, head) === 0) {
      const rest = body.toString('latin1', head, Math.min(end, head + 80)).replace(/[ \t\r]+$/, '');
      if (rest === '' || rest === '--') {
        if (start !== undefined) parts.push(body.subarray(start, Math.max(start, previousEnd)));
        if (rest === '--') return parts;
        if (parts.length >= MESSAGE_MAX_PARTS) throw malformed(`more than ${MESSAGE_MAX_PARTS} parts`);
        start = next;
      }
    }
    previousEnd = end;
    at = next;
  }
  throw malformed('a multipart without its end');
}

/**
 * The bytes of a base64 body, read strictly: nothing but the alphabet, line ends and blanks (RFC 2045 section 6.8).
 * @throws AwlError MESSAGE_MALFORMED, also if the entity names another encoding
 */
export function decodeBase64Body(entity: Entity): Buffer {
  const encoding = entity.headers.get('content-transfer-encoding')?.toLowerCase();
  if (encoding !== 'base64') throw malformed(`the encoding is ${encoding ? 'not base64' : 'missing'}`);
  const text = entity.body.toString('latin1').replace(/[ \t\r\n]+/g, '');
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw malformed('broken base64');
  return Buffer.from(text, 'base64');
}

/** Base64 in lines of 64 characters ended by CRLF, as OpenSSL writes it. */
export function encodeBase64Lines(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    .toString('base64')
    .replace(/.{1,64}/g, '$&\r\n');
}

/** LF and CRLF both become CRLF: the canonical text that a signature covers (RFC 8551 section 3.1.1). */
export function toCrlf(bytes: Uint8Array): Buffer {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  return Buffer.from(text.replace(/\r?\n/g, '\r\n'), 'latin1');
}
