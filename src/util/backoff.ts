export interface BackoffOptions {
  readonly baseMs: number;
  readonly maxMs: number;
  /** Source of jitter in [0, 1). */
  readonly random?: () => number;
}

/**
 * Wait before attempt `failures` + 1: base·2ⁿ up to the maximum, of which the upper half is jitter, so that
 * many clients do not come back to a restarted server at the same moment.
 */
export function backoffMs(failures: number, { baseMs, maxMs, random = Math.random }: BackoffOptions): number {
  const full = Math.min(maxMs, baseMs * 2 ** Math.min(Math.max(failures - 1, 0), 30));
  return Math.round(full / 2 + (full / 2) * random());
}
