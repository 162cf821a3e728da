import { AwlError } from '../errors.js';

/** A request line and headers of HTTP CONNECT (RFC 9110 section 9.3.6); nothing else of HTTP is understood. */
export interface ConnectHead {
  readonly host: string;
  readonly port: number;
  /** Octets up to and with the empty line. */
  readonly length: number;
}

/** Browsers send a few hundred octets. */
export const HTTP_HEAD_BYTES = 8_192;

const LINE = /^CONNECT (\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9_.-]{1,253}):(\d{1,5}) HTTP\/1\.[01]$/;
const REASONS = {
  200: 'Connection established',
  400: 'Bad Request',
  403: 'Forbidden',
  405: 'Method Not Allowed',
  431: 'Request Header Fields Too Large',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
} as const;
export type ConnectStatus = keyof typeof REASONS;

/** Why a head is none, and the status that says so to the client. */
export class ConnectProblem extends AwlError {
  readonly status: ConnectStatus;

  constructor(status: ConnectStatus, what: string) {
    super('MESSAGE_MALFORMED', `a request to the proxy ${what}`, {
      hint: 'this proxy speaks SOCKS 5 and HTTP CONNECT',
    });
    this.status = status;
  }
}

/**
 * Reads a head from what arrived so far; undefined until its empty line is there.
 * @throws ConnectProblem 400, 405 or 431
 */
export function readConnect(bytes: Uint8Array): ConnectHead | undefined {
  const text = Buffer.from(bytes.subarray(0, HTTP_HEAD_BYTES)).toString('latin1');
  const [, line, ending] = /^([^\r\n]*)(\r?\n)/.exec(text) ?? [];
  if (line === undefined && text.length < HTTP_HEAD_BYTES) return undefined;
  const match = LINE.exec(line ?? '');
  if (line !== undefined && !match) {
    const other = /^[A-Z]{2,16} /.test(line) && !line.startsWith('CONNECT ');
    throw new ConnectProblem(other ? 405 : 400, other ? 'is not CONNECT' : 'names no host and port');
  }
  const end = /\r?\n\r?\n/.exec(text);
  if (!end) {
    if (text.length < HTTP_HEAD_BYTES) return undefined;
    throw new ConnectProblem(431, `has a head of more than ${HTTP_HEAD_BYTES} bytes`);
  }
  const port = Number(match?.[2]);
  if (port < 1 || port > 65_535 || ending === undefined) throw new ConnectProblem(400, 'names no port');
  return { host: (match?.[1] ?? '').replace(/^\[(.*)\]$/, '$1'), port, length: end.index + end[0].length };
}

/** The answer's head; `detail` is one line for people. */
export function encodeConnectAnswer(status: ConnectStatus, detail?: string): Buffer {
  const line = `HTTP/1.1 ${status} ${REASONS[status]}\r\n`;
  if (status === 200) return Buffer.from(`${line}\r\n`);
  const body = Buffer.from(`${(detail ?? REASONS[status]).replace(/\p{Cc}/gu, ' ')}\n`);
  const allow = status === 405 ? 'Allow: CONNECT\r\n' : '';
  const head = `${line}${allow}Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), body]);
}
