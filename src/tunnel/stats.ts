import type { Link } from './link.js';

/** What a tunnel can tell of itself at any moment; plain values. */
export interface TunnelStats {
  readonly state: 'open' | 'reconnecting' | 'closed';
  /** Kind of the carrier in use: `udp`, `tcp`, `relay`; absent while there is none. */
  readonly path?: string;
  /** Round trip of the last ping, or as the carrier measures it. */
  readonly rttMs?: number;
  /** Bytes on the streams of all carriers, sealed. */
  readonly sent: number;
  readonly received: number;
  /** Packets of the carrier in use, and how many of them were sent again: their share is the loss. */
  readonly packets?: number;
  readonly repeated?: number;
  /** Packets that came to the carrier in use and were forged, damaged, or of no more use; absent where it cannot tell. */
  readonly bad?: number;
  /** Connections and UDP flows that are open now, were opened in all, and were refused to the peer. */
  readonly channels: number;
  readonly opened: number;
  readonly refused: number;
  /** New carriers after a loss, and better ones while the old one worked. */
  readonly reconnects: number;
  readonly moves: number;
  /** Bytes that the peer has not acknowledged. */
  readonly kept: number;
  /** Frames for channels that are gone. */
  readonly strays: number;
  readonly datagramsSent: number;
  readonly datagramsReceived: number;
  readonly badDatagrams: number;
  readonly replayedDatagrams: number;
  /** Bytes of the largest datagram that passes in one piece, as far as the path's MTU is known. */
  readonly maxDatagram?: number;
  /** Own datagrams that did not fit. */
  readonly tooLarge: number;
}

type Now = Pick<TunnelStats, 'state' | 'channels' | 'opened' | 'refused' | 'strays' | 'kept' | 'maxDatagram'>;

const COUNTED = [
  'sent',
  'received',
  'datagramsSent',
  'datagramsReceived',
  'badDatagrams',
  'replayedDatagrams',
] as const;
type Counted = Record<(typeof COUNTED)[number], number>;

/** Counters of a tunnel over all its carriers, and the round trip of its pings. */
export class Counters {
  tooLarge = 0;
  reconnects = 0;
  moves = 0;
  readonly #before: Counted = zero();
  #pings = 0;
  #pingedAt = 0;
  #rttMs: number | undefined;

  /** A ping leaves; yields its number. */
  pinged(): number {
    this.#pings = (this.#pings + 1) % 2 ** 32;
    this.#pingedAt = performance.now();
    return this.#pings;
  }

  ponged(number: number): void {
    if (number === this.#pings) this.#rttMs = performance.now() - this.#pingedAt;
  }

  /** The link is left: what it counted is kept. */
  left(link: Link): void {
    const counted = countsOf(link);
    for (const name of COUNTED) this.#before[name] += counted[name];
    this.#rttMs = undefined;
  }

  snapshot(link: Link | undefined, now: Now): TunnelStats {
    const counted = link ? countsOf(link) : zero();
    for (const name of COUNTED) counted[name] += this.#before[name];
    const path = link?.carrier.stats?.() ?? {};
    const rttMs = this.#rttMs ?? path.rttMs;
    return {
      ...now,
      ...(link && { path: link.carrier.kind }),
      ...(link && path),
      ...(link && rttMs !== undefined && { rttMs }),
      ...counted,
      reconnects: this.reconnects,
      moves: this.moves,
      tooLarge: this.tooLarge,
    };
  }
}

function zero(): Counted {
  return {
    sent: 0,
    received: 0,
    datagramsSent: 0,
    datagramsReceived: 0,
    badDatagrams: 0,
    replayedDatagrams: 0,
  };
}

function countsOf({ sent, received, datagrams }: Link): Counted {
  return {
    sent,
    received,
    datagramsSent: datagrams.sent,
    datagramsReceived: datagrams.received,
    badDatagrams: datagrams.bad,
    replayedDatagrams: datagrams.replayed,
  };
}
