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
 * Does `work` on every link side by side. One success is enough: the others' failures are a line in the log.
 * @returns the links on which it worked
 * @throws what the first link threw, if it worked on none
 */
export async function onAnyLink(
  links: readonly Rendezvous[],
  log: Logger,
  work: (link: Rendezvous) => Promise<void>,
): Promise<Rendezvous[]> {
  const results = await Promise.allSettled(links.map(work));
  const good = links.filter((_, index) => results[index]?.status === 'fulfilled');
  const failed = results.flatMap((result, index) =>
    result.status === 'rejected' ? [{ name: links[index]?.name, reason: result.reason as unknown }] : [],
  );
  if (good.length === 0) throw failed[0]?.reason ?? new AwlError('INTERNAL', 'there is no rendezvous');
  for (const { name, reason } of failed) {
    const code = isAwlError(reason) ? `${reason.code}: ` : '';
    log.warning(`going on without ${name}: ${code}${errorText(reason)}`);
  }
  return good;
}

/** Letters of all links in order of arrival, until the signal aborts. */
export async function* listenOnAll(
  links: readonly Rendezvous[],
  filter: LetterFilter,
  signal: AbortSignal,
): AsyncGenerator<Delivery, void> {
  const queue = new AsyncQueue<Delivery>();
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  const listening = Promise.all(
    links.map(async (link) => {
      for await (const envelope of link.listen(filter, ended)) queue.push({ link, envelope });
    }),
  ).then(
    () => queue.end(),
    (error) => queue.end(error),
  );
  try {
    yield* queue;
  } finally {
    stop.abort();
    await listening;
  }
}
