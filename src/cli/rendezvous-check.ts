import { errorText, isAwlError } from '../errors.js';
import type { Logger } from '../log.js';
import { openRendezvous, type RendezvousSettings } from '../rendezvous/registry.js';
import { deadline } from '../util/sleep.js';

/** How one configured rendezvous answered. */
export interface RendezvousCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly ms: number;
  readonly code?: string;
  readonly problem?: string;
  readonly hint?: string;
}

/** Longest wait for one rendezvous; all are asked side by side. */
const CHECK_MS = 4500;

/** Connects each rendezvous as a session would, and takes the time. Never throws. */
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
  const { name } = settings;
  const begun = performance.now();
  const ms = () => Math.round(performance.now() - begun);
  const limit = deadline(CHECK_MS, () => new Error(`no answer within ${CHECK_MS / 1000} s`), outer);
  try {
    const link = await openRendezvous(settings, { log, now: () => new Date() });
    try {
      await link.prepare(limit.signal);
      return { name, ok: true, ms: ms() };
    } finally {
      await link.close();
    }
  } catch (error) {
    const known = isAwlError(error) ? error : undefined;
    return {
      name,
      ok: false,
      ms: ms(),
      code: known?.code ?? 'RENDEZVOUS_UNREACHABLE',
      problem: errorText(error),
      ...(known?.hint && { hint: known.hint }),
    };
  } finally {
    limit.dispose();
  }
}

/** One line each, in words. */
export function checkText(checks: readonly RendezvousCheck[]): string {
  return checks
    .map(({ name, ok, ms, problem, hint }) =>
      ok
        ? `Rendezvous       ${name}: ready after ${ms} ms\n`
        : `Rendezvous       ${name}: ${problem}\n${hint ? `                 ${hint}\n` : ''}`,
    )
    .join('');
}
