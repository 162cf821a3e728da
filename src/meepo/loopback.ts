import { type Duplex, duplexPair } from 'node:stream';
import type { LinkEvents, LinkState, MeepoLink } from './link.js';

/** The path of a node to itself: what is sent arrives here. */
export class LoopbackLink implements MeepoLink {
  readonly kind = 'loopback';
  readonly halfClose = true;
  readonly channels = [];
  readonly #events: LinkEvents;
  #state: LinkState = 'connected';

  constructor(events: LinkEvents) {
    this.#events = events;
  }

  get state(): LinkState {
    return this.#state;
  }

  async sendSys(bytes: Buffer): Promise<void> {
    setImmediate(() => this.#events.sys(bytes));
  }

  async openStream(label: string): Promise<Duplex> {
    const [here, there] = duplexPair();
    setImmediate(() => this.#events.stream(label, there));
    return here;
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#events.state('closed');
  }
}
