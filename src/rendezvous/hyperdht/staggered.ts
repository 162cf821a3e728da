import { sleep } from '../../util/sleep.js';

/**
 * Tries one way after the other, the next when the last failed or was silent for `gapMs`, all that run side by side;
 * yields the first success and aborts the rest (RFC 8305's manner). Each way is asked for when it is its turn.
 * @throws the last failure when every way failed, or the signal's reason
 */
export async function staggered<T, W>(
  ways: Iterable<W>,
  gapMs: number,
  attempt: (way: W, signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  const running: Promise<T>[] = [];
  let failure: unknown = new Error('there is no way to try');
  try {
    for (const way of ways) {
      const tried = attempt(way, ended);
      running.push(tried);
      const next = sleep(gapMs, ended).then(() => undefined);
      // A failure begins the next way at once; a success ends it all.
      const outcome = await Promise.race([
        tried.then(
          (value) => ({ value }),
          (error) => {
            failure = error;
            return undefined;
          },
        ),
        next.catch(() => undefined),
        firstOf(running),
      ]);
      signal.throwIfAborted();
      if (outcome) return outcome.value;
    }
    const last = await firstOf(running);
    signal.throwIfAborted();
    if (last) return last.value;
    throw failure;
  } finally {
    stop.abort();
    for (const tried of running) tried.catch(() => {});
  }
}

/** The first success; undefined when all failed. */
async function firstOf<T>(running: readonly Promise<T>[]): Promise<{ value: T } | undefined> {
  try {
    return { value: await Promise.any(running) };
  } catch {
    return undefined;
  }
}
