import type { Duplex } from 'node:stream';
import type { MeepoKeys } from '../wire/meepo/keys.js';
import type { Packet } from '../wire/meepo/packet.js';
import { Conversation, type Handler } from './conversation.js';
import { LOST_MS } from './limits.js';
import type { ChannelInfo, LinkEvents, LinkState, MeepoLink } from './link.js';
import { PassageLink } from './passage-link.js';

export interface TransportOptions {
  readonly keys: MeepoKeys;
  readonly peer: string;
  /** Who made the offer: decides which of two transports that crossed stays. */
  readonly offerer: string;
  readonly handlers: (transport: Transport) => Readonly<Record<string, Handler>>;
  readonly broadcast?: (transport: Transport, packet: Packet) => Promise<Buffer | undefined>;
  readonly onStream: (transport: Transport, label: string, stream: Duplex) => void;
  /** The path is gone for good. */
  readonly onGone: (transport: Transport) => void;
}

/** One peer and the path to it. The link comes later, since its events are needed to make it. */
export class Transport {
  readonly peer: string;
  readonly offerer: string;
  readonly madeAt = performance.now();
  readonly conversation: Conversation;
  /** Key of the offer that made this transport; ties proofs of a secret to it. */
  bindingKey: Buffer | undefined;
  /** True once the peer told that it is awl. */
  isAwl = false;
  readonly #options: TransportOptions;
  readonly #watchers = new Set<() => void>();
  #link: MeepoLink | undefined;
  #active: LinkEvents | undefined;
  #lost: NodeJS.Timeout | undefined;
  #gone = false;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.peer = options.peer;
    this.offerer = options.offerer;
    const { broadcast } = options;
    this.conversation = new Conversation({
      keys: options.keys,
      peer: options.peer,
      send: (bytes) => this.link.sendSys(bytes),
      handlers: options.handlers(this),
      ...(broadcast && { broadcast: (packet: Packet) => broadcast(this, packet) }),
    });
  }

  get link(): MeepoLink {
    if (!this.#link) throw new Error('the transport is not connected');
    return this.#link;
  }

  /** The link if it is awl's own path. */
  get passageLink(): PassageLink | undefined {
    return this.#link instanceof PassageLink ? this.#link : undefined;
  }

  /** For a link that is being made; what it says counts until another link is used. */
  newEvents(): LinkEvents {
    const own: LinkEvents = {
      state: (state) => {
        if (this.#active === undefined || this.#active === own) this.#changed(state);
      },
      sys: (bytes) => this.conversation.receive(bytes),
      stream: (label, stream) => this.#options.onStream(this, label, stream),
    };
    return own;
  }

  /** This link it is, in the place of one that was only begun. */
  use(link: MeepoLink, events: LinkEvents): void {
    const old = this.#link;
    this.#link = link;
    this.#active = events;
    void old?.close();
    if (this.#gone) void link.close();
    this.#wake();
  }

  get state(): LinkState {
    return this.#gone ? 'closed' : (this.#link?.state ?? 'new');
  }

  /** What the path is made of; undefined while there is none. */
  get kind(): MeepoLink['kind'] | undefined {
    return this.#link?.kind;
  }

  get channels(): readonly ChannelInfo[] {
    return this.#link?.channels ?? [];
  }

  /** Resolves when the path is there. @throws Error when it is gone, or the signal's reason */
  async connected(signal: AbortSignal): Promise<void> {
    for (;;) {
      signal.throwIfAborted();
      if (this.state === 'connected') return;
      if (['failed', 'closed'].includes(this.state)) throw new Error(`the transport is ${this.state}`);
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#watchers.delete(wake);
          signal.removeEventListener('abort', wake);
          resolve();
        };
        this.#watchers.add(wake);
        signal.addEventListener('abort', wake, { once: true });
      });
    }
  }

  /** Ends it here; the peer sees its path close. Idempotent, never rejects. */
  async close(): Promise<void> {
    this.#end();
    await this.#link?.close();
  }

  #changed(state: LinkState): void {
    clearTimeout(this.#lost);
    // Awl's own path is looked for anew, and knows itself how long that is worth it.
    if (state === 'disconnected' && !this.passageLink) {
      this.#lost = setTimeout(() => void this.close(), LOST_MS);
      this.#lost.unref();
    }
    if (state === 'failed' || state === 'closed') {
      void this.close();
      return;
    }
    this.#wake();
  }

  #end(): void {
    if (this.#gone) return;
    this.#gone = true;
    clearTimeout(this.#lost);
    this.conversation.close();
    this.#wake();
    this.#options.onGone(this);
  }

  #wake(): void {
    for (const wake of [...this.#watchers]) wake();
  }
}
