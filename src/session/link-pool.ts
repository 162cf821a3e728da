import { openRendezvous, type RendezvousSettings } from '../rendezvous/registry.js';
import type { Envelope, Letter, LetterFilter, Rendezvous, RendezvousContext } from '../rendezvous/types.js';

interface Shared {
  readonly link: Promise<Rendezvous>;
  users: number;
}

/**
 * DHT nodes that the acceptors and inviters of one process share: one for each network (and `--dht-port`), from the
 * first who opens it until the last closes it. Other rendezvous are opened for each user alone: a mailbox is its own.
 */
export class LinkPool {
  readonly #shared = new Map<string, Shared>();

  /** Nodes that are open now. */
  get size(): number {
    return this.#shared.size;
  }

  /** As {@link openRendezvous}; what is shared logs through the first user's log. */
  async open(settings: RendezvousSettings, context: RendezvousContext): Promise<Rendezvous> {
    const key = networkOf(settings);
    if (key === undefined) return openRendezvous(settings, context);
    const shared = this.#shared.get(key) ?? { link: openRendezvous(settings, context), users: 0 };
    this.#shared.set(key, shared);
    shared.users++;
    const leave = async () => {
      if (--shared.users > 0) return;
      // The next one opens a node of its own: this one is taking leave already.
      if (this.#shared.get(key) === shared) this.#shared.delete(key);
      await (await shared.link).close();
    };
    try {
      return new SharedLink(await shared.link, leave);
    } catch (error) {
      await leave().catch(() => {});
      throw error;
    }
  }
}

/** What tells two networks apart; undefined where nothing is to be shared. */
function networkOf(settings: RendezvousSettings): string | undefined {
  if (settings.name !== 'hyperdht' && settings.name !== 'opendht') return undefined;
  const own = settings.name === 'hyperdht' ? settings.hyperdht : settings.opendht;
  const nodes = own.bootstrap?.map(({ host, port }) => `${host} ${port}`).sort();
  const more = settings.name === 'opendht' ? [settings.opendht.network, settings.opendht.tokens] : [];
  return JSON.stringify([settings.name, nodes ?? null, own.port ?? 0, ...more]);
}

/** One user's hold on a rendezvous of several. */
class SharedLink implements Rendezvous {
  readonly name: string;
  readonly sealing: Rendezvous['sealing'];
  readonly #link: Rendezvous;
  readonly #leave: () => Promise<void>;
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  constructor(link: Rendezvous, leave: () => Promise<void>) {
    this.name = link.name;
    this.sealing = link.sealing;
    this.#link = link;
    this.#leave = leave;
  }

  prepare(signal: AbortSignal): Promise<void> {
    return this.#link.prepare(this.#ended(signal));
  }

  listen(filter: LetterFilter, signal: AbortSignal): AsyncIterable<Envelope> {
    return this.#link.listen(filter, this.#ended(signal));
  }

  push(letter: Letter, signal: AbortSignal): Promise<void> {
    return this.#link.push(letter, this.#ended(signal));
  }

  close(): Promise<void> {
    this.#closing.abort(new Error('the rendezvous was closed'));
    this.#closed ??= this.#leave();
    return this.#closed;
  }

  #ended(signal: AbortSignal): AbortSignal {
    return AbortSignal.any([signal, this.#closing.signal]);
  }
}
