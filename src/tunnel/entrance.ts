import type { Logger } from '../log.js';
import type { Endpoint } from '../util/endpoint.js';
import type { ImportSpec } from '../wire/tunnel-target.js';
import { Gate } from './gate.js';
import { listenForImports } from './importer.js';
import type { Listener } from './listener.js';
import { listenForProxy } from './proxy.js';
import type { Tunnel } from './tunnel.js';

/** What local programs connect to. */
export interface EntranceSpec {
  readonly imports: readonly ImportSpec[];
  /** Where a SOCKS 5 and HTTP proxy listens. */
  readonly socks5?: Endpoint;
}

/**
 * The local ports of a session. They outlive a tunnel: where it lost its path, or another one takes its place, new
 * connections wait instead of being refused.
 */
export class Entrance {
  #gate = new Gate();
  #listeners: readonly Listener[] = [];

  /** Where it listens, in the order of the imports, the proxy last. */
  get at(): string[] {
    return this.#listeners.map(({ at }) => at);
  }

  get isOpen(): boolean {
    return this.#listeners.length > 0;
  }

  /**
   * Listens, if it does not yet; all or nothing.
   * @throws AwlError TUNNEL_BIND naming the port that is taken
   */
  async open({ imports, socks5 }: EntranceSpec, log: Logger): Promise<void> {
    if (this.isOpen) return;
    const listeners = await listenForImports(this.#gate, imports, log);
    this.#listeners = listeners;
    try {
      if (socks5) this.#listeners = [...listeners, await listenForProxy(this.#gate, socks5, log)];
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** New connections go through this tunnel, and those that waited. */
  admit(tunnel: Tunnel): void {
    this.#gate.open(tunnel);
  }

  /** New connections wait until {@link admit}. */
  hold(): void {
    this.#gate.hold();
  }

  /** Takes the ports of another entrance and who waits there; the other one has none afterwards. */
  inherit(other: Entrance): void {
    [this.#gate, other.#gate] = [other.#gate, this.#gate];
    [this.#listeners, other.#listeners] = [other.#listeners, this.#listeners];
    this.hold();
  }

  /** Closes the ports and what was connected to them. */
  async close(): Promise<void> {
    this.#gate.close();
    const listeners = this.#listeners;
    this.#listeners = [];
    await Promise.all(listeners.map((listener) => listener.close()));
  }
}
