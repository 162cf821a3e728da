import { RECONNECT_BASE_MS, RECONNECT_MAX_MS } from '../constants.js';

export interface BackoffOptions {
  readonly baseMs?: number;
  readonly maxMs?: number;
  /** Source of jitter in [0, 1). */
  readonly random?: () => number;
}

/**
 * Milliseconds to wait after failed attempt number `attempt` (the first is 0): base·2ⁿ up to the maximum, of which the
 * upper half is jitter, so that many clients do not come back to a restarted server at the same moment.
 */
export function backoffMs(attempt: number, options: BackoffOptions = {}): number {
  const { baseMs = RECONNECT_BASE_MS, maxMs = RECONNECT_MAX_MS, random = Math.random } = options;
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30));
  return Math.round(full / 2 + (full / 2) * random());
}
