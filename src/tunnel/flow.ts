import { EventEmitter } from 'node:events';
import { TUNNEL_DATAGRAM_BYTES, TUNNEL_FLOW_QUEUE } from '../wire/tunnel-limits.js';
import { ChannelError } from './channel.js';
import type { ChannelHandler } from './mux.js';
import type { Tunnel } from './tunnel.js';

/**
 * Datagrams of one channel for a program: `message` for each that came, `close` once, `error` before it if the peer
 * refused. Unordered, each once or not at all.
 */
export class DatagramFlow extends EventEmitter<{
  message: [data: Buffer];
  accepted: [];
  error: [error: Error];
  close: [];
}> {
  readonly #tunnel: Tunnel;
  #id: number | undefined;
  #unsubscribe: (() => void) | undefined;
  /** Until the peer agrees; undefined from then on. */
  #early: Buffer[] | undefined = [];
  #over = false;

  constructor(tunnel: Tunnel) {
    super();
    this.#tunnel = tunnel;
    // Whoever cares has a listener of his own.
    this.on('error', () => {});
    const end = () => this.#end();
    void tunnel.closed.then(end, end);
  }

  /** What passes in one piece, as far as the path is known; up to 1442 bytes go in fragments where it is less. */
  get maxBytes(): number {
    return this.#tunnel.stats.maxDatagram ?? TUNNEL_DATAGRAM_BYTES;
  }

  /** Asks the peer for a flow. */
  open(target: string): void {
    const id = this.#tunnel.mux.open(target, this.#handler(), true);
    if (id === undefined) this.#end(new ChannelError('too many connections at once', true));
    else this.#listen(id);
  }

  /** Takes the flow that the peer asked for; yields who is told about its channel. */
  take(id: number): ChannelHandler {
    this.#early = undefined;
    this.#listen(id);
    this.#tunnel.mux.accept(id, true);
    return this.#handler();
  }

  /** False if it is larger than 1442 bytes, or the flow is over. */
  send(data: Uint8Array): boolean {
    if (this.#over || this.#id === undefined || data.length > TUNNEL_DATAGRAM_BYTES) return false;
    if (!this.#early) return this.#tunnel.sendDatagram(this.#id, data);
    if (this.#early.length < TUNNEL_FLOW_QUEUE) this.#early.push(Buffer.from(data));
    return true;
  }

  /** Ends the flow on both sides. */
  close(): void {
    if (!this.#over && this.#id !== undefined) this.#tunnel.mux.reset(this.#id);
    this.#end();
  }

  #listen(id: number): void {
    this.#id = id;
    this.#unsubscribe = this.#tunnel.onDatagrams(id, (payload) => this.emit('message', payload));
  }

  #handler(): ChannelHandler {
    return {
      accepted: () => {
        const early = this.#early ?? [];
        this.#early = undefined;
        for (const data of early) this.send(data);
        this.emit('accepted');
      },
      refused: (reason) => this.#end(new ChannelError(reason || 'refused without a reason', true)),
      data() {},
      credit() {},
      ended: () => this.close(),
      reset: () => this.#end(),
    };
  }

  #end(error = this.#early && new ChannelError('the peer did not take it')): void {
    if (this.#over) return;
    this.#over = true;
    this.#unsubscribe?.();
    if (error) this.emit('error', error);
    this.emit('close');
  }
}
