import { sleep } from '../../util/sleep.js';

/** Rejects with the signal's reason when it aborts first; what `work` does then is nobody's business any more. */
export async function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => {});
  signal.throwIfAborted();
  let stop = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Waits for `work`, whatever comes of it, but not longer than `ms`. Never rejects. */
export async function within(ms: number, work: Promise<unknown>): Promise<void> {
  const patience = new AbortController();
  await Promise.race([work.catch(() => {}), sleep(ms, patience.signal).catch(() => {})]);
  patience.abort();
}
