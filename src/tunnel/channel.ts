import { Duplex } from 'node:stream';
import type { ChannelHandler } from './mux.js';

/** What a channel needs of its tunnel. */
export interface ChannelPort {
  send(bytes: Uint8Array): number;
  consumed(bytes: number): void;
  end(): void;
  reset(): void;
  /** False while what was sent waits for the network; `whenWritable` calls back once. */
  readonly writable: boolean;
  whenWritable(call: () => void): void;
}

/** Why a channel was not opened or ended before its time. */
export class ChannelError extends Error {
  readonly refused: boolean;

  constructor(message: string, refused = false) {
    super(message);
    this.name = 'ChannelError';
    this.refused = refused;
  }
}

const HIGH_WATER_BYTES = 64 * 1024;
const CRUMB_BYTES = 4096;

/** A copy that shares its memory with nothing. */
function own(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

/**
 * One connection inside the tunnel as a Node stream, half-close and backpressure included. Beyond a stream's own
 * events: `accepted` when the peer reached the target, `deaf` when it takes nothing more.
 */
export class Channel extends Duplex implements ChannelHandler {
  readonly #port: ChannelPort;
  readonly #arrived: (Uint8Array | null)[] = [];
  #wanted = false;
  #writing: { rest: Uint8Array; done: (error?: Error | null) => void } | undefined;
  #waiting = false;
  #gone = false;
  #gotEnd = false;
  /** The peer takes nothing more, while what it sent before is still being read. */
  deaf = false;

  constructor(port: ChannelPort) {
    super({ allowHalfOpen: true, highWaterMark: HIGH_WATER_BYTES });
    this.#port = port;
  }

  accepted(): void {
    this.emit('accepted');
  }

  refused(reason: string): void {
    this.#gone = true;
    this.destroy(new ChannelError(reason || 'refused without a reason', true));
  }

  data(bytes: Uint8Array): void {
    const last = this.#arrived.at(-1);
    // Crumbs that wait are put together: each would keep the record alive that it came in.
    if (last && last.length + bytes.length <= CRUMB_BYTES) {
      this.#arrived[this.#arrived.length - 1] = Buffer.concat([last, bytes]);
    } else this.#arrived.push(bytes.length < bytes.buffer.byteLength / 2 ? own(bytes) : bytes);
    this.#deliver();
  }

  credit(): void {
    this.#push();
  }

  ended(): void {
    this.#gotEnd = true;
    this.#arrived.push(null);
    this.#deliver();
  }

  reset(): void {
    this.#gone = true;
    if (!this.#gotEnd) {
      this.destroy(new ChannelError('the connection was reset on the other side'));
      return;
    }
    this.deaf = true;
    this.emit('deaf');
    this.#push();
  }

  /** The tunnel under the channel is gone. */
  lost(reason: string): void {
    this.#gone = true;
    this.destroy(new ChannelError(reason));
  }

  override _read(): void {
    this.#wanted = true;
    this.#deliver();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#writing = { rest: chunk, done };
    this.#push();
  }

  override _final(done: (error?: Error | null) => void): void {
    if (!this.#gone) this.#port.end();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#arrived.length = 0;
    const whole = this.writableFinished && this.#gotEnd;
    if (!this.#gone && !whole) this.#port.reset();
    this.#gone = true;
    this.#writing = undefined;
    done(error);
  }

  #deliver(): void {
    while (this.#wanted && this.#arrived.length > 0) {
      const next = this.#arrived.shift() ?? null;
      this.#wanted = this.push(next);
      if (next) this.#port.consumed(next.length);
    }
  }

  #push(): void {
    const writing = this.#writing;
    if (!writing || this.#waiting) return;
    if (this.deaf) {
      this.#written();
      return;
    }
    while (writing.rest.length > 0) {
      if (!this.#port.writable) {
        this.#waiting = true;
        this.#port.whenWritable(() => {
          this.#waiting = false;
          this.#push();
        });
        return;
      }
      const sent = this.#port.send(writing.rest);
      if (sent === 0) return;
      writing.rest = writing.rest.subarray(sent);
    }
    this.#written();
  }

  #written(): void {
    const done = this.#writing?.done;
    this.#writing = undefined;
    done?.();
  }
}
