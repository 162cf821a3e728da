import { TUNNEL_PING_MS, TUNNEL_SILENCE_MS } from '../wire/tunnel-limits.js';

/** What the clock asks a tunnel to do. */
export interface PulseOptions {
  readonly ping: () => void;
  /** Bytes that came from the peer so far. */
  readonly received: () => number;
  /** Nothing came for too long. */
  readonly silent: (ms: number) => void;
}

/** The timers of one link: its pings, and the end that a silent peer makes. */
export class Pulse {
  readonly #timers: NodeJS.Timeout[];

  constructor({ ping, received, silent }: PulseOptions) {
    let bytes = received();
    let heard = performance.now();
    const watch = () => {
      const now = performance.now();
      if (received() !== bytes) {
        bytes = received();
        heard = now;
      } else if (now - heard > TUNNEL_SILENCE_MS) silent(now - heard);
    };
    this.#timers = [setInterval(ping, TUNNEL_PING_MS), setInterval(watch, TUNNEL_PING_MS / 4)];
  }

  stop(): void {
    for (const timer of this.#timers) clearInterval(timer);
  }
}
