import { randomBytes } from 'node:crypto';
import { type Duplex, duplexPair } from 'node:stream';
import { createLogger, silentLogger } from '../../src/log.js';
import { Access, type AccessSettings } from '../../src/meepo/access.js';
import type { LinkEvents, MeepoLink } from '../../src/meepo/link.js';
import { Sinks } from '../../src/meepo/sinks.js';
import { Sources } from '../../src/meepo/sources.js';
import { Transport } from '../../src/meepo/transport.js';
import { type MeepoKeys, meepoKeys } from '../../src/wire/meepo/keys.js';

/** One end of a path without a network: what a node has for one peer. */
export interface PairSide {
  readonly keys: MeepoKeys;
  readonly transport: Transport;
  readonly sources: Sources;
  readonly sinks: Sinks;
  /** Control messages that this side sent. */
  readonly sent: Buffer[];
  /** Lines of its log. */
  readonly log: string[];
}

export interface PairOptions {
  readonly keys?: MeepoKeys;
  readonly access?: AccessSettings;
  readonly isAwl?: boolean;
  readonly awlSecretsOnly?: boolean;
}

/** Two nodes' ends of one path, joined in memory; `key` is that of the offer. */
export function meepoPair(
  first: PairOptions = {},
  second: PairOptions = {},
  key: Buffer = randomBytes(32),
): readonly [PairSide, PairSide] {
  const keys = [first.keys ?? meepoKeys(), second.keys ?? meepoKeys()] as const;
  const a = side(first, keys[0], keys[1].id, key, second.isAwl ?? true);
  const b = side(second, keys[1], keys[0].id, key, first.isAwl ?? true);
  const [eventsA, eventsB] = [a.transport.newEvents(), b.transport.newEvents()];
  a.transport.use(new MemoryLink(eventsA, eventsB, a.sent), eventsA);
  b.transport.use(new MemoryLink(eventsB, eventsA, b.sent), eventsB);
  return [a, b];
}

function side(
  options: PairOptions,
  keys: MeepoKeys,
  peer: string,
  key: Buffer,
  peerIsAwl: boolean,
): PairSide {
  const lines: string[] = [];
  const log = createLogger({ level: 'warning', write: (line) => void lines.push(line) });
  const { awlSecretsOnly = false } = options;
  const sources = new Sources({ id: keys.id, log, awlSecretsOnly });
  const sinks = new Sinks({ id: keys.id, access: new Access(options.access ?? {}), log: silentLogger });
  const transport = new Transport({
    keys,
    peer,
    offerer: peer,
    handlers: (own) => sinks.handlers(own),
    onStream: (own, label, stream) => sinks.join(own, label, stream),
    onGone: (own) => {
      sources.forget(own);
      sinks.forget(own);
    },
  });
  transport.bindingKey = key;
  transport.isAwl = peerIsAwl;
  return { keys, transport, sources, sinks, sent: [], log: lines };
}

class MemoryLink implements MeepoLink {
  readonly kind = 'loopback';
  readonly halfClose = true;
  readonly channels = [];
  readonly #own: LinkEvents;
  readonly #other: LinkEvents;
  readonly #sent: Buffer[];
  state: MeepoLink['state'] = 'connected';

  constructor(own: LinkEvents, other: LinkEvents, sent: Buffer[]) {
    this.#own = own;
    this.#other = other;
    this.#sent = sent;
  }

  async sendSys(bytes: Buffer): Promise<void> {
    this.#sent.push(bytes);
    setImmediate(() => this.#other.sys(bytes));
  }

  async openStream(label: string): Promise<Duplex> {
    const [here, there] = duplexPair();
    setImmediate(() => this.#other.stream(label, there));
    return here;
  }

  async close(): Promise<void> {
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.#own.state('closed');
    this.#other.state('closed');
  }
}
