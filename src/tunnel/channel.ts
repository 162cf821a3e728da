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

/** For memory that nobody uses again. */
const OWNED = () => {};

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
  /**
   * Whoever takes what arrives while nothing waits to be read, without a stream's ado; false for what he does not
   * want now. The memory is the channel's again when it returns, unless `keep` was called.
   */
  outlet: ((bytes: Uint8Array, keep: () => void) => boolean) | undefined;

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

  data(bytes: Uint8Array, keep: () => void = OWNED): void {
    // Crumbs that wait would keep the record alive that they came in.
    const crumb = bytes.length < bytes.buffer.byteLength / 2;
    const taken = this.#idle && (crumb ? this.outlet?.(own(bytes), OWNED) : this.outlet?.(bytes, keep));
    if (taken) this.#port.consumed(bytes.length);
    else this.#queue(crumb, bytes, keep);
  }

  #queue(crumb: boolean, bytes: Uint8Array, keep: () => void): void {
    const last = this.#arrived.at(-1);
    if (last && last.length + bytes.length <= CRUMB_BYTES) {
      this.#arrived[this.#arrived.length - 1] = Buffer.concat([last, bytes]);
    } else {
      if (!crumb) keep();
      this.#arrived.push(crumb ? own(bytes) : bytes);
    }
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

  /**
   * Writes what the peer and the network take now, and a copy of the rest: the memory may be used again. False if
   * there should be no more before `again` is called.
   */
  offer(bytes: Uint8Array, again: () => void): boolean {
    if (this.deaf || this.#gone || !this.writable) return true;
    let rest = bytes;
    while (!this.#writing && rest.length > 0 && this.#port.writable) {
      const sent = this.#port.send(rest);
      if (sent === 0) break;
      rest = rest.subarray(sent);
    }
    if (rest.length > 0) this.write(own(rest), again);
    else if (!this.#port.writable) this.#port.whenWritable(again);
    else return true;
    return false;
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

  /** Whoever reads waits, and nothing lies in between. */
  get #idle(): boolean {
    return this.#wanted && this.readableFlowing === true && this.readableLength + this.#arrived.length === 0;
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
