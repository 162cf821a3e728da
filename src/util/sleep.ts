import { setTimeout as timer } from 'node:timers/promises';

/** Resolves after `ms` milliseconds; rejects with the signal's reason if it is aborted first. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  try {
    await timer(ms, undefined, signal ? { signal } : {});
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/**
 * `signal` joined with a deadline. `dispose` ends the timer; the combined signal aborts with `reason()`
 * when the time is up, or with the outer signal's reason.
 */
export function deadline(
  ms: number,
  reason: () => Error,
  signal?: AbortSignal,
): { readonly signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const onAbort = () => controller.abort(signal?.reason);
  if (signal?.aborted) onAbort();
  else signal?.addEventListener('abort', onAbort, { once: true });
  const handle = setTimeout(() => controller.abort(reason()), ms);
  return {
    signal: controller.signal,
    dispose() {
      clearTimeout(handle);
      signal?.removeEventListener('abort', onAbort);
    },
  };
}

/** Resolves when the signal aborts. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
