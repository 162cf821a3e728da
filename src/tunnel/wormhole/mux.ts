import type { Socket } from 'node:net';
import type { Logger } from '../../log.js';
import {
  WORMHOLE_BACKLOG_BYTES,
  WORMHOLE_CLIENTS_MAX,
  WORMHOLE_FLUSH_MS,
} from '../../wire/tubus-constants.js';
import { encodeFrameHeader, FrameReader } from '../../wire/tubus-frame.js';
import type { TubusConnection } from '../tubus/connection.js';
import { type ClientTunnel, WormholeClient } from './client.js';

/** TCP connections of a wormhole: open now, opened in all, and refused because they were too many. */
export interface ClientCounts {
  open: number;
  opened: number;
  refused: number;
}

export function noClients(): ClientCounts {
  return { open: 0, opened: 0, refused: 0 };
}

/** What a wormhole needs of its tubus connection. */
export type WormholeStream = Pick<TubusConnection, 'read' | 'write' | 'end' | 'ended'>;

/**
 * The TCP connections of one wormhole over one tubus stream. The wire has no credit of single clients, so that a
 * TCP reader that stays behind by WORMHOLE_BACKLOG_BYTES holds up the others until it reads.
 */
export class WormholeMux implements ClientTunnel {
  readonly counts: ClientCounts;
  readonly #connection: WormholeStream;
  readonly #clientsMax: number;
  readonly #log: Logger;
  readonly #clients = new Map<number, WormholeClient>();
  readonly #onUnknown: (id: number) => void;
  #backlog = 0;
  #wake: (() => void) | undefined;
  #over = false;

  /** @param onUnknown an empty frame came for an id that has no client: the exporter opens one */
  constructor(
    connection: WormholeStream,
    log: Logger,
    onUnknown: (id: number) => void = () => {},
    clientsMax = WORMHOLE_CLIENTS_MAX,
    counts = noClients(),
  ) {
    this.#connection = connection;
    this.#clientsMax = clientsMax;
    this.#log = log;
    this.#onUnknown = onUnknown;
    this.counts = counts;
  }

  get isFull(): boolean {
    return this.#over || this.#clients.size >= this.#clientsMax;
  }

  add(id: number, socket: Socket): void {
    this.#clients.set(id, new WormholeClient(id, socket, this, this.#log));
    this.counts.opened += 1;
    this.counts.open = this.#clients.size;
  }

  sendData(id: number, data: Buffer): Promise<void> {
    return this.#connection.write(Buffer.concat([encodeFrameHeader(id, data.length), data]));
  }

  sendClose(id: number): Promise<void> {
    return this.#connection.write(encodeFrameHeader(id, 0));
  }

  /** The same empty frame, from the importer, for an id of its own choice. */
  sendOpen(id: number): Promise<void> {
    return this.#connection.write(encodeFrameHeader(id, 0));
  }

  backlog(change: number): void {
    this.#backlog += change;
    this.#wake?.();
  }

  forget(id: number): void {
    this.#clients.delete(id);
    this.counts.open = this.#clients.size;
    this.#wake?.();
  }

  /** Hands on what comes until the tunnel ends; then every client gets what arrived for it. */
  async run(): Promise<void> {
    const reader = new FrameReader();
    void this.#connection.ended.then(() => this.#wake?.());
    for (;;) {
      await this.#until(() => this.#backlog < WORMHOLE_BACKLOG_BYTES || this.#connection.end !== undefined);
      const chunks = await this.#connection.read();
      if (!chunks) break;
      for (const chunk of chunks) {
        for (const part of reader.push(chunk)) {
          const client = this.#clients.get(part.id);
          if (part.kind === 'data') client?.receive(part.data);
          else if (client) client.peerClosed();
          else this.#onUnknown(part.id);
        }
      }
    }
    this.#over = true;
    await this.#deliver();
  }

  /** A reader that takes nothing for WORMHOLE_FLUSH_MS is not waited for. */
  async #deliver(): Promise<void> {
    for (const client of [...this.#clients.values()]) client.finish();
    let [left, late] = [this.#backlog, false];
    const timer = setInterval(() => {
      late = this.#backlog >= left;
      left = this.#backlog;
      this.#wake?.();
    }, WORMHOLE_FLUSH_MS);
    await this.#until(() => late || this.#clients.size === 0);
    clearInterval(timer);
    for (const client of [...this.#clients.values()]) client.destroy();
  }

  async #until(ready: () => boolean): Promise<void> {
    while (!ready()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
