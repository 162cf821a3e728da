import { Duplex } from 'node:stream';
import type { DataChannel } from './data-channels.js';
import type { Inbox, SlowReader } from './inbox.js';
import { MESSAGE_BYTES } from './limits.js';
import type { ChannelInfo } from './link.js';

/** What a data channel needs of its path. */
export interface DataPort {
  readonly inbox: Inbox;
  /** Bytes that one channel may have waiting for the network; less where many share the path. */
  readonly allowance: number;
}

/**
 * A WebRTC data channel as a Node stream with backpressure in both directions. The wire knows no half-close: ending
 * our side closes the channel.
 */
export class DataStream extends Duplex implements SlowReader {
  readonly #channel: DataChannel;
  readonly #port: DataPort;
  readonly #arrived: Buffer[] = [];
  readonly #leave: () => void;
  #later: (() => void) | undefined;
  #threshold = 0;
  #wanted = false;
  #over = false;
  waiting = 0;
  takenAt = performance.now();

  constructor(
    channel: DataChannel,
    port: DataPort,
    onState: (state: ChannelInfo['state']) => void = () => {},
  ) {
    super({ allowHalfOpen: true, highWaterMark: 64 * 1024 });
    this.#channel = channel;
    this.#port = port;
    this.#leave = port.inbox.join(this);
    channel.events = {
      message: (bytes) => this.#message(bytes),
      drain: () => this.#wake(),
      state: (state) => {
        this.#wake();
        if (state === 'closing' || state === 'closed') this.#ended();
        onState(state);
      },
    };
    // Whoever uses the stream has its own listener; one that nobody uses any more must not end the process.
    this.on('error', () => {});
  }

  giveUp(): void {
    this.destroy(new Error('its reader takes nothing'));
  }

  override _read(): void {
    this.#wanted = true;
    this.#deliver();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    // What was sent goes out before the reset of the channel.
    this.#whenSent(() => {
      this.#close();
      done();
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#leave();
    this.#arrived.length = 0;
    this.#take(this.waiting);
    this.#close();
    done(error);
  }

  #send(rest: Buffer, done: (error?: Error | null) => void): void {
    let left = rest;
    while (left.length > 0) {
      if (this.#channel.state !== 'open') {
        done(new Error('the data channel is closed'));
        return;
      }
      if (this.#channel.buffered >= this.#port.allowance) {
        const later = left;
        this.#wait(this.#port.allowance >> 1, () => this.#send(later, done));
        return;
      }
      // The channel keeps what it is given until it is acknowledged; the caller's buffer may be used again.
      this.#channel.send(Buffer.from(left.subarray(0, MESSAGE_BYTES)));
      left = left.subarray(MESSAGE_BYTES);
    }
    done();
  }

  #whenSent(call: () => void): void {
    if (this.#channel.buffered === 0 || this.#channel.state !== 'open') call();
    else this.#wait(0, () => this.#whenSent(call));
  }

  /** Until no more than `threshold` bytes wait, or the channel is closed. */
  #wait(threshold: number, call: () => void): void {
    this.#threshold = threshold;
    this.#later = call;
  }

  #wake(): void {
    if (this.#channel.state === 'open' && this.#channel.buffered > this.#threshold) return;
    const call = this.#later;
    this.#later = undefined;
    call?.();
  }

  #message(bytes: Buffer): void {
    if (this.destroyed || bytes.length === 0) return;
    this.#arrived.push(bytes);
    this.waiting += bytes.length;
    this.#port.inbox.arrived(bytes.length);
    this.#deliver();
  }

  #deliver(): void {
    while (this.#wanted) {
      const next = this.#arrived.shift();
      if (!next) break;
      this.#take(next.length);
      this.#wanted = this.push(next);
    }
    if (this.#over && this.#arrived.length === 0) this.push(null);
  }

  #take(bytes: number): void {
    this.waiting -= bytes;
    this.takenAt = performance.now();
    this.#port.inbox.taken(bytes);
  }

  #ended(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#wanted || this.#arrived.length === 0) this.#deliver();
    // Both directions are over; what arrived is still there to be read.
    if (!this.writableEnded) this.end();
  }

  #close(): void {
    this.#channel.close();
  }
}
