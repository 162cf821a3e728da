import { existsSync } from 'node:fs';
import { request as httpRequest, type RequestOptions } from 'node:http';
import { AwlError, ERROR_CODES, type ErrorCode, errorText } from '../../errors.js';
import { type DaemonStatus, isDaemonStatus } from '../../meepo/status.js';

const ANSWER_MAX_BYTES = 4 * 1024 * 1024;
/** Two limits of the node together: an offer that is answered late, and a path that is found late. */
const ANSWER_MS = 60_000;

/** How to reach the daemon. */
export interface DaemonPlace {
  /** `-H`: an HTTP base URL; the socket is not tried then. */
  readonly host?: string;
  readonly socket: string;
}

const STANDARD = 'http://127.0.0.1:12345';

/**
 * Calls one action of the daemon's API, over its socket where there is one.
 * @throws AwlError MEEPO_UNAVAILABLE without a daemon, else with the daemon's words
 */
export async function callDaemon(
  place: DaemonPlace,
  action: string,
  fields: object = {},
  signal?: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  const viaSocket = place.host === undefined && existsSync(place.socket);
  const base = baseUrl(place.host ?? STANDARD);
  const body = JSON.stringify(fields);
  const options: RequestOptions = {
    method: 'POST',
    path: `${base.pathname.replace(/\/$/, '')}/v1/actions/${action}`,
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
    timeout: ANSWER_MS,
    ...(viaSocket ? { socketPath: place.socket } : { host: base.hostname, port: base.port || 80 }),
    ...(signal && { signal }),
  };
  const { status, text } = await exchange(options, body).catch((cause: unknown) => {
    signal?.throwIfAborted();
    throw new AwlError('MEEPO_UNAVAILABLE', `no Meepo daemon: ${errorText(cause)}`, {
      hint: 'start one with: awl meepo serve',
      cause,
    });
  });
  const value = parse(text);
  if (status >= 200 && status < 300) return value;
  const { error, code, hint } = value;
  const known =
    typeof code === 'string' && Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : 'MEEPO_REFUSED';
  throw new AwlError(known, typeof error === 'string' ? error : `the daemon answers ${status}`, {
    ...(typeof hint === 'string' && { hint }),
  });
}

/** True if a daemon answers there. */
export function isAnswering(place: DaemonPlace, signal: AbortSignal): Promise<boolean> {
  return callDaemon(place, 'whoami', {}, signal).then(
    () => true,
    () => false,
  );
}

/** What the daemon at this socket does; undefined if none of our version answers there within `ms`. */
export async function statusAt(
  socket: string,
  ms: number,
  signal: AbortSignal,
): Promise<DaemonStatus | undefined> {
  if (!existsSync(socket)) return undefined;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ms)]);
  const status = await callDaemon({ socket }, 'status', {}, limit).catch(() => undefined);
  return isDaemonStatus(status) ? status : undefined;
}

function baseUrl(text: string): URL {
  try {
    const url = new URL(text);
    if (url.protocol === 'http:') return url;
  } catch {
    // Said below.
  }
  throw new AwlError('USAGE_BAD_VALUE', `--host ${text.slice(0, 80)} is no http:// URL`, {
    hint: `write it as ${STANDARD}`,
  });
}

function exchange(options: RequestOptions, body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const req = httpRequest(options, (res) => {
      let text = '';
      res.setEncoding('utf8');
      res.on('data', (part: string) => {
        text += part;
        if (text.length > ANSWER_MAX_BYTES) req.destroy(new Error('its answer is too large'));
      });
      res.on('end', () => resolve({ status: res.statusCode ?? 0, text }));
      res.on('error', reject);
    });
    req.on('timeout', () => req.destroy(new Error('no answer in time')));
    req.on('error', reject);
    req.end(body);
  });
}

function parse(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = text === '' ? {} : JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Readonly<Record<string, unknown>>;
  } catch {
    // Something else than a Meepo listens there.
  }
  throw new AwlError('MEEPO_UNAVAILABLE', 'what answers there is no Meepo daemon', {
    hint: 'another program has its port; name the daemon with -H',
  });
}
