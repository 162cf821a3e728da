import type { Socket } from 'node:net';
import { errorText } from '../../errors.js';
import type { Logger } from '../../log.js';
import {
  WORMHOLE_FRAME_BYTES,
  WORMHOLE_HALF_CLOSED_MS,
  WORMHOLE_KEEPALIVE_MS,
} from '../../wire/tubus-constants.js';

/** What a client needs of the tunnel; `send` waits for room. */
export interface ClientTunnel {
  sendData(id: number, data: Buffer): Promise<void>;
  /** Says that no more data of this client will come. */
  sendClose(id: number): Promise<void>;
  /** Bytes more (or fewer) wait for this client's TCP side. */
  backlog(change: number): void;
  /** The client needs its id no longer. */
  forget(id: number): void;
}

/**
 * One TCP connection of a wormhole. An empty frame says "no more data from me"; a second one "I am gone" (the real
 * one sends two, and drops everything then). So between awls each direction ends by itself, and either end is
 * passed on only behind the data before it.
 */
export class WormholeClient {
  readonly #id: number;
  readonly #socket: Socket;
  readonly #tunnel: ClientTunnel;
  readonly #log: Logger;
  #peerClosed = false;
  #ownClosed = false;
  #broken = false;
  /** Nobody wants what this TCP side says. */
  #mute = false;
  #owed = 0;
  #watching = false;

  /** @param socket made with `allowHalfOpen`; it may still be connecting */
  constructor(id: number, socket: Socket, tunnel: ClientTunnel, log: Logger) {
    this.#id = id;
    this.#socket = socket;
    this.#tunnel = tunnel;
    this.#log = log;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, WORMHOLE_KEEPALIVE_MS);
    socket.on('error', (error) => {
      this.#broken = true;
      this.#log.debug(`client ${this.#id}: ${errorText(error)}`);
    });
    socket.on('close', () => this.#onClose());
    void this.#forward();
  }

  /** TCP to tunnel, no faster than the tunnel takes it. */
  async #forward(): Promise<void> {
    try {
      for await (const chunk of this.#socket.iterator({ destroyOnReturn: false })) {
        if (this.#mute) break;
        const data = chunk as Buffer;
        for (let at = 0; at < data.length; at += WORMHOLE_FRAME_BYTES) {
          await this.#tunnel.sendData(this.#id, data.subarray(at, at + WORMHOLE_FRAME_BYTES));
        }
      }
    } catch {
      // A reset connection is said by its `error` event, a lost tunnel by its reader.
    }
    this.#closeOnce();
    this.#watchHalfClosed();
  }

  /** Tunnel to TCP. */
  receive(data: Buffer): void {
    if (this.#peerClosed || !this.#socket.writable) return;
    this.#owed += data.length;
    this.#tunnel.backlog(data.length);
    this.#socket.write(data, () => this.#paid(data.length));
  }

  #paid(bytes: number): void {
    const paid = Math.min(bytes, this.#owed);
    this.#owed -= paid;
    this.#tunnel.backlog(-paid);
  }

  /** An empty frame came: the peer has no more data; for the second time: it takes none either. */
  peerClosed(): void {
    if (!this.#peerClosed) {
      this.#peerClosed = true;
      this.#socket.end();
      this.#watchHalfClosed();
      return;
    }
    this.finish();
  }

  /** Delivers what is there and ends the TCP connection; nothing more is read from it. */
  finish(): void {
    this.#peerClosed = true;
    this.#mute = true;
    if (this.#socket.writableFinished || this.#socket.destroyed) this.#socket.destroy();
    else this.#socket.end(() => this.#socket.destroy());
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #closeOnce(): void {
    if (this.#ownClosed) return;
    this.#ownClosed = true;
    void this.#tunnel.sendClose(this.#id).catch(() => {});
  }

  /** Once one direction is over, an idle connection does not stay for ever; a reader that only pauses may. */
  #watchHalfClosed(): void {
    if (this.#watching) return;
    this.#watching = true;
    this.#socket.setTimeout(WORMHOLE_HALF_CLOSED_MS);
    this.#socket.on('timeout', () => {
      if (this.#owed === 0) this.#socket.destroy();
      else this.#socket.setTimeout(WORMHOLE_HALF_CLOSED_MS);
    });
  }

  #onClose(): void {
    this.#paid(this.#owed);
    this.#closeOnce();
    if (this.#broken) void this.#tunnel.sendClose(this.#id).catch(() => {});
    this.#tunnel.forget(this.#id);
  }
}
