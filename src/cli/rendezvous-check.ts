import { DOCTOR_CLOSE_MS, DOCTOR_RENDEZVOUS_MS } from '../constants.js';
import { AwlError, type ErrorCode, errorText, isAwlError } from '../errors.js';
import type { Logger } from '../log.js';
import type { EmailSettings } from '../rendezvous/email/settings.js';
import { openRendezvous, type RendezvousSettings } from '../rendezvous/registry.js';
import type { Rendezvous } from '../rendezvous/types.js';
import { formatHostPort } from '../util/host-port.js';
import { deadline, sleep } from '../util/sleep.js';
import { oneLine } from './io.js';

/** How one configured rendezvous answered. */
export interface RendezvousCheck {
  readonly name: RendezvousSettings['name'];
  /** Server, nodes or folder that was asked. */
  readonly where: string;
  readonly ok: boolean;
  /** Until it was ready, or failed. */
  readonly ms: number;
  /** DHTs and Redis: how long a letter to ourselves took; null: it did not come back in time. */
  readonly letterMs?: number | null;
  /** E-mail: how long the login at the sending server took. */
  readonly sendingMs?: number;
  readonly code?: ErrorCode;
  readonly message?: string;
  readonly hint?: string;
}

/** Connects each rendezvous as a session would, side by side, in under five seconds. Never throws. */
export function checkAll(
  settings: readonly RendezvousSettings[],
  log: Logger,
  signal: AbortSignal,
): Promise<RendezvousCheck[]> {
  return Promise.all(settings.map((one) => check(one, log, signal)));
}

async function check(
  settings: RendezvousSettings,
  log: Logger,
  outer: AbortSignal,
): Promise<RendezvousCheck> {
  const of = { name: settings.name, where: whereOf(settings) };
  const begun = performance.now();
  const ms = () => Math.round(performance.now() - begun);
  const late = () =>
    new AwlError('RENDEZVOUS_UNREACHABLE', `${of.where} gave no answer within ${ms() / 1000} s`, {
      hint: 'a session waits longer for a slow one; a firewall on the way is silent, too',
    });
  const limit = deadline(DOCTOR_RENDEZVOUS_MS, late, outer);
  try {
    const link = await openRendezvous(settings, { log, now: () => new Date() });
    try {
      // Both logins side by side, as in a session.
      const sending = settings.name === 'email' ? trySending(settings.email, limit.signal) : undefined;
      sending?.catch(() => {});
      await link.prepare(limit.signal);
      const ready = ms();
      if (sending) return { ...of, ok: true, ms: ready, sendingMs: await sending };
      if (settings.name === 'file') return { ...of, ok: true, ms: ready };
      return { ...of, ok: true, ms: ready, letterMs: await tryLetter(link, limit.signal, outer) };
    } finally {
      // Taking leave of a server may last, and nobody reads the report before.
      await Promise.race([link.close(), sleep(DOCTOR_CLOSE_MS)]);
    }
  } catch (error) {
    const known = isAwlError(error) ? error : undefined;
    return {
      ...of,
      ok: false,
      ms: ms(),
      code: known?.code ?? 'INTERNAL',
      message: errorText(error),
      ...(known?.hint && { hint: known.hint }),
    };
  } finally {
    limit.dispose();
  }
}

async function trySending(email: EmailSettings, signal: AbortSignal): Promise<number> {
  const { tryLogin } = await import('../rendezvous/email/smtp.js');
  const begun = performance.now();
  await tryLogin(email, { timeoutMs: DOCTOR_RENDEZVOUS_MS, signal });
  return Math.round(performance.now() - begun);
}

/** A network that answers but carries nothing in time is slow, not broken: a session waits longer. */
async function tryLetter(link: Rendezvous, signal: AbortSignal, outer: AbortSignal): Promise<number | null> {
  const { roundTrip } = await import('../rendezvous/round-trip.js');
  try {
    return Math.round(await roundTrip(link, signal));
  } catch (error) {
    outer.throwIfAborted();
    if (signal.aborted) return null;
    throw error;
  }
}

function whereOf(settings: RendezvousSettings): string {
  switch (settings.name) {
    case 'email':
      return formatHostPort(settings.email.imaps);
    case 'hyperdht':
      return settings.hyperdht.bootstrap?.map(formatHostPort).join(', ') ?? 'the public nodes';
    case 'opendht':
      return settings.opendht.bootstrap.map(formatHostPort).join(', ');
    case 'meepo':
      return formatHostPort(settings.meepo.redis);
    case 'file':
      return settings.folder;
  }
}

const READY: Readonly<Record<RendezvousSettings['name'], string>> = {
  email: 'logged in to read mail',
  hyperdht: 'a node answers',
  opendht: 'a node answers',
  meepo: 'the Redis server lets us in',
  file: 'the folder can be used',
};

function further({ letterMs, sendingMs }: RendezvousCheck): string {
  if (sendingMs !== undefined) return `; and to send it (no mail was sent), after ${sendingMs} ms`;
  if (letterMs === undefined) return '';
  return letterMs === null
    ? '; a letter to myself did not come back in time: a session waits longer'
    : `; a letter to myself came back after ${letterMs} ms`;
}

/** What was found, in words, in the columns of the report. */
export function checkText(checks: readonly RendezvousCheck[]): string {
  const rows = checks.flatMap((check) => {
    const { name, where, ok, ms, code, message = '', hint } = check;
    const of = `${name} (${oneLine(where)})`;
    if (ok) return [`${of}: ${READY[name]}, after ${ms} ms${further(check)}`];
    return [`${of}: ${code}: ${oneLine(message)}`, ...(hint ? [`  hint: ${oneLine(hint)}`] : [])];
  });
  return rows.map((row, index) => `${(index === 0 ? 'Rendezvous' : '').padEnd(17)}${row}\n`).join('');
}
