import { DOCTOR_CLOSE_MS, DOCTOR_RENDEZVOUS_MS } from '../constants.js';
import { AwlError, ERROR_CODES, type ErrorCode, errorText, isAwlError } from '../errors.js';
import type { Logger } from '../log.js';
import { openRendezvous, type RendezvousSettings } from '../rendezvous/registry.js';
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
      await link.prepare(limit.signal);
      return { ...of, ok: true, ms: ms() };
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
  email: 'logged in to read mail (sending is not tried)',
  hyperdht: 'a node answers',
  opendht: 'a node answers',
  meepo: 'the Redis server lets us in',
  file: 'the folder can be used',
};

/** What was found, in words, in the columns of the report. */
export function checkText(checks: readonly RendezvousCheck[]): string {
  const rows = checks.flatMap(({ name, where, ok, ms, code, message = '', hint }) => {
    const of = `${name} (${oneLine(where)})`;
    if (ok) return [`${of}: ${READY[name]}, after ${ms} ms`];
    return [`${of}: ${code}: ${oneLine(message)}`, ...(hint ? [`  hint: ${oneLine(hint)}`] : [])];
  });
  return rows.map((row, index) => `${(index === 0 ? 'Rendezvous' : '').padEnd(17)}${row}\n`).join('');
}

/** 0 if all are ready, else the exit status of the gravest failure. */
export function checkStatus(checks: readonly RendezvousCheck[]): number {
  return Math.max(0, ...checks.map(({ code }) => (code ? ERROR_CODES[code] : 0)));
}
