import type { Socket } from 'node:net';
import { type ProvenTls, proveTls } from '../tunnel/tls.js';
import type { PunchRole } from '../wire/confirm.js';
import type { TunnelTcpKeys } from '../wire/tunnel-tcp-keys.js';

/** Connections that are proved at once; more come from strangers. */
const RUNNERS_MAX = 12;

/** TCP connections to the peer, or to whoever came: the first that is proven counts, the others are closed. */
export class TcpRace {
  readonly won: Promise<ProvenTls['socket']>;
  readonly #role: PunchRole;
  readonly #keys: TunnelTcpKeys;
  readonly #over = new AbortController();
  readonly #signal: AbortSignal;
  #win: (socket: ProvenTls['socket']) => void = () => {};
  #running = 0;
  #decided = false;

  constructor(role: PunchRole, keys: TunnelTcpKeys, signal: AbortSignal) {
    this.#role = role;
    this.#keys = keys;
    this.#signal = AbortSignal.any([signal, this.#over.signal]);
    this.won = new Promise((resolve, reject) => {
      this.#win = resolve;
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      if (signal.aborted) reject(signal.reason);
    });
    this.won.catch(() => {});
  }

  /** One more connection; closed if it is not the one. */
  enter(raw: Socket): void {
    raw.on('error', () => {});
    if (this.#decided || this.#signal.aborted || this.#running >= RUNNERS_MAX) {
      raw.destroy();
      return;
    }
    this.#running += 1;
    void this.#run(raw).finally(() => {
      this.#running -= 1;
    });
  }

  /** Closes all that have not won. */
  end(): void {
    this.#decided = true;
    this.#over.abort(new Error('the race is over'));
  }

  async #run(raw: Socket): Promise<void> {
    try {
      const proven = await proveTls(raw, this.#role, this.#keys, this.#signal);
      if (this.#decided) {
        proven.socket.destroy();
        return;
      }
      this.#decided = true;
      if (this.#role === 'invite') proven.choose();
      this.#win(proven.socket);
      this.#over.abort(new Error('another connection was quicker'));
    } catch {
      // Not the peer, or too late: others run.
    }
  }
}
