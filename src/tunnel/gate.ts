import type { Socket } from 'node:net';
import type { Tunnel } from './tunnel.js';

/** Connections that wait for a tunnel at once; more are closed. Each holds what its program has said, 64 kB at most. */
export const GATE_WAITING_MAX = 256;
/** Programs that are patient for longer can connect again. */
export const GATE_WAITING_MS = 60_000;

/** Where new connections of local programs go: through the tunnel of now, or they wait for the next one. */
export class Gate {
  readonly #waiting = new Set<(tunnel: Tunnel | undefined) => void>();
  readonly #max: number;
  readonly #ms: number;
  #tunnel: Tunnel | undefined;

  constructor(max = GATE_WAITING_MAX, ms = GATE_WAITING_MS) {
    this.#max = max;
    this.#ms = ms;
  }

  /** The tunnel of now. */
  get tunnel(): Tunnel | undefined {
    return this.#tunnel;
  }

  /** From now on connections go through this tunnel, those that waited first. */
  open(tunnel: Tunnel): void {
    this.#tunnel = tunnel;
    this.#release(tunnel);
  }

  /** From now on connections wait. */
  hold(): void {
    this.#tunnel = undefined;
  }

  /** Nobody waits any more. */
  close(): void {
    this.#tunnel = undefined;
    this.#release(undefined);
  }

  /**
   * The tunnel that a new connection goes through, in the order in which they came. Undefined if there is none in time,
   * too many wait, or the program has hung up; the socket is closed then.
   */
  async pass(socket: Socket): Promise<Tunnel | undefined> {
    const tunnel = this.#tunnel ?? (await this.#wait(socket));
    if (!tunnel) socket.destroy();
    return socket.destroyed ? undefined : tunnel;
  }

  #wait(socket: Socket): Promise<Tunnel | undefined> {
    if (this.#waiting.size >= this.#max || socket.destroyed) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const go = (tunnel?: Tunnel) => {
        clearTimeout(timer);
        socket.off('close', gone);
        this.#waiting.delete(go);
        resolve(tunnel);
      };
      const gone = () => go();
      const timer = setTimeout(gone, this.#ms);
      socket.once('close', gone);
      this.#waiting.add(go);
    });
  }

  #release(tunnel: Tunnel | undefined): void {
    for (const go of [...this.#waiting]) go(tunnel);
  }
}
