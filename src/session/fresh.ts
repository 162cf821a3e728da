import type { Logger } from '../log.js';
import { isMoving } from '../punch/feasibility.js';
import { FRESH_SOCKETS } from '../punch/limits.js';
import { bind } from '../stun/client.js';
import { keepMapping } from '../stun/keepalive.js';
import type { Endpoint } from '../util/endpoint.js';
import { UdpSocket } from '../util/udp.js';
import type { NatReport } from '../wire/nat-report.js';

/** How long an answer waits for the endpoints of fresh sockets once its own is known: they were asked for together. */
export const FRESH_GRACE_MS = 30;

export interface FreshSocket {
  readonly socket: UdpSocket;
  readonly outer: Endpoint;
}

/**
 * Further sockets of a session, on ports of the kernel's choice. Their mappings were shown to a STUN server only: where a
 * stray datagram spoiled the first pair of mappings, a second and a third are untouched.
 */
export class FreshSockets {
  readonly #local: Endpoint;
  readonly #log: Logger;
  readonly #opened: Promise<UdpSocket | undefined>[] = [];
  readonly #found: (FreshSocket | undefined)[] = [];
  #named: readonly FreshSocket[] | undefined;

  constructor(main: Endpoint, log: Logger) {
    this.#local = { address: main.address, port: 0 };
    this.#log = log;
  }

  /** Opens them and asks the first of `servers` where it sees them. Never rejects. */
  async locate([server]: readonly Endpoint[], signal: AbortSignal): Promise<void> {
    if (!server) return;
    await Promise.all(
      Array.from({ length: FRESH_SOCKETS }, (_, index) => this.#locate(index, server, signal)),
    );
  }

  /** The endpoints to name in messages, the same in each. None behind a NAT that is known to move them. */
  named(report: NatReport): Endpoint[] {
    this.#named ??= isMoving(report) ? [] : this.#found.flatMap((one) => one ?? []);
    return this.#named.map(({ outer }) => outer);
  }

  /** Those whose endpoints were named, in that order. */
  get sockets(): readonly FreshSocket[] {
    return this.#named ?? [];
  }

  /** Keeps their mappings alive until the signal aborts. */
  keep(server: Endpoint, signal: AbortSignal): void {
    for (const { socket, outer: known } of this.sockets) {
      void keepMapping(socket, server, { known, signal, log: this.#log, onChange: () => {} });
    }
  }

  /** Closes them, but for the one that became the passage. */
  async close(kept?: UdpSocket): Promise<void> {
    const sockets = await Promise.all(this.#opened);
    await Promise.all(sockets.map((socket) => (socket === kept ? undefined : socket?.close())));
  }

  async #locate(index: number, server: Endpoint, signal: AbortSignal): Promise<void> {
    try {
      const opening = UdpSocket.bind(this.#local);
      this.#opened.push(opening.catch(() => undefined));
      const socket = await opening;
      const { mapped } = await bind(socket, server, { signal });
      this.#found[index] = { socket, outer: mapped };
    } catch (error) {
      if (!signal.aborted) this.#log.debug(`no fresh socket: ${String(error)}`);
    }
  }
}
