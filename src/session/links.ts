import { AwlError, errorText, isAwlError } from '../errors.js';
import type { Logger } from '../log.js';
import type { Envelope, LetterFilter, Rendezvous } from '../rendezvous/types.js';
import { AsyncQueue } from '../util/queue.js';

/** A letter and the rendezvous that brought it. */
export interface Delivery {
  readonly link: Rendezvous;
  readonly envelope: Envelope;
}

/**
 * What came of the same work on several rendezvous: one success is enough, a failure beside it is a line in the log.
 * The last failure of all is the caller's.
 */
export class Attempts {
  readonly #log: Logger;
  #left: number;

  constructor(count: number, log: Logger) {
    this.#left = count;
    this.#log = log;
  }

  /** @throws the error itself if nothing else is left to try */
  failed(name: string, error: unknown): void {
    if (--this.#left <= 0) throw error;
    const code = isAwlError(error) ? `${error.code}: ` : '';
    this.#log.warning(`going on without ${name}: ${code}${errorText(error)}`);
  }
}

/**
 * Resolves when the first link is ready; the others may go on.
 * @throws what the last link threw, if none gets ready; the signal's reason
 */
export async function oneReady(
  preparing: ReadonlyMap<Rendezvous, Promise<void>>,
  log: Logger,
  signal: AbortSignal,
): Promise<void> {
  const links = [...preparing.keys()];
  try {
    await Promise.any(preparing.values());
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AggregateError)) throw error;
    const attempts = new Attempts(links.length, log);
    for (const [index, link] of links.entries()) attempts.failed(link.name, error.errors[index]);
  }
}

export interface ExchangeOptions {
  /** Prepares the link and hands the letter over. The signal aborts when the reader has what it wanted. */
  readonly send: (link: Rendezvous, signal: AbortSignal) => Promise<void>;
  readonly filter: LetterFilter;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Sends on every link side by side and yields what arrives on those that took the letter, in order of arrival, until
 * the signal aborts. A link that is slow, dead or fails holds up nobody.
 * @throws what the last link threw, if none of them works
 */
export async function* exchangeOnAll(
  links: readonly Rendezvous[],
  { send, filter, log, signal }: ExchangeOptions,
): AsyncGenerator<Delivery, void> {
  if (links.length === 0) throw new AwlError('INTERNAL', 'there is no rendezvous');
  const queue = new AsyncQueue<Delivery>();
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  const attempts = new Attempts(links.length, log);
  const work = links.map(async (link) => {
    try {
      await send(link, ended);
      for await (const envelope of link.listen(filter, ended)) queue.push({ link, envelope });
    } catch (error) {
      if (!ended.aborted) attempts.failed(link.name, error);
    }
  });
  const end = () => queue.end();
  ended.addEventListener('abort', end, { once: true });
  if (ended.aborted) end();
  void Promise.all(work).then(end, (error) => queue.end(error));
  try {
    yield* queue;
  } finally {
    // Not waited for: a mail that is just being sent must not hold up the punch.
    stop.abort(new AwlError('ABORTED', 'another rendezvous brought the answer'));
  }
}
