import {
  TUNNEL_KNOCK_MS,
  TUNNEL_PING_MS,
  TUNNEL_SILENCE_MS,
  TUNNEL_START_MS,
} from '../wire/tunnel-limits.js';

/** What the clock asks a tunnel to do. */
export interface PulseOptions {
  /** "I am here" on the new socket, until the peer's hello came. */
  readonly knock: () => void;
  readonly ping: (count: number) => void;
  /** Bytes that came from the peer so far. */
  readonly received: () => number;
  /** Nothing came for too long: `started` says whether the peer's hello had. */
  readonly silent: (started: boolean, ms: number) => void;
}

/** The timers of one tunnel: its beginning, its pings, and the end that a silent peer makes. */
export class Pulse {
  readonly #options: PulseOptions;
  #beginning: NodeJS.Timeout[];
  #running: NodeJS.Timeout[] = [];

  constructor(options: PulseOptions) {
    this.#options = options;
    options.knock();
    this.#beginning = [
      setInterval(options.knock, TUNNEL_KNOCK_MS),
      setTimeout(() => options.silent(false, TUNNEL_START_MS), TUNNEL_START_MS),
    ];
  }

  /** The peer's hello is there. */
  started(): void {
    const { ping, received, silent } = this.#options;
    this.stop();
    let pings = 0;
    let bytes = received();
    let heard = performance.now();
    const watch = () => {
      const now = performance.now();
      if (received() !== bytes) {
        bytes = received();
        heard = now;
      } else if (now - heard > TUNNEL_SILENCE_MS) silent(true, now - heard);
    };
    this.#running = [
      setInterval(() => ping(pings++), TUNNEL_PING_MS),
      setInterval(watch, TUNNEL_PING_MS / 4),
    ];
  }

  stop(): void {
    for (const timer of [...this.#beginning, ...this.#running]) clearInterval(timer);
    this.#beginning = [];
    this.#running = [];
  }
}
