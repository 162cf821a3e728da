import { EventEmitter } from 'node:events';
import type { TLSSocket } from 'node:tls';
import { readInto } from '../util/read-into.js';
import type { ByteStream } from './carrier.js';

/** TLS hands over no more at once than what one of its own records holds (RFC 8446 section 5.1). */
const READ_BYTES = 16_384;
/** What waits for the kernel before `write` says so, and when it says that there is room again. */
const FULL_BYTES = 1024 * 1024;
const ROOM_BYTES = 512 * 1024;

/**
 * A TLS session as a stream of a tunnel. Node copies what waits behind a write into new memory as large as all of it;
 * here pieces that lie side by side are put together by looking at both, and there is one write at a time.
 */
export class TlsStream extends EventEmitter implements ByteStream {
  readonly #socket: TLSSocket;
  readonly #waiting: Uint8Array[] = [];
  #bytes = 0;
  #reading = false;
  #writing = false;
  #full = false;
  #ending = false;

  constructor(socket: TLSSocket) {
    super();
    this.#socket = socket;
    // Whoever uses it listens, too.
    this.on('error', () => {});
    socket.on('end', () => this.emit('end'));
    socket.on('error', (error) => this.emit('error', error));
    socket.on('close', () => this.emit('close'));
    this.on('newListener', (name) => {
      // The listener is there a moment later.
      if (name === 'data') queueMicrotask(() => this.#read());
    });
  }

  write(data: Uint8Array): boolean {
    this.#bytes += data.length;
    const last = this.#waiting.at(-1);
    if (last && last.buffer === data.buffer && last.byteOffset + last.length === data.byteOffset) {
      this.#waiting[this.#waiting.length - 1] = new Uint8Array(
        data.buffer,
        last.byteOffset,
        last.length + data.length,
      );
    } else this.#waiting.push(data);
    if (!this.#writing) this.#next();
    this.#full = this.#bytes > FULL_BYTES;
    return !this.#full;
  }

  end(): void {
    this.#ending = true;
    if (!this.#writing) this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #read(): void {
    if (this.#reading) return;
    this.#reading = true;
    const take = (bytes: Uint8Array) => this.emit('data', bytes);
    if (!readInto(this.#socket, take, Buffer.allocUnsafeSlow(READ_BYTES))) this.#socket.on('data', take);
    this.#socket.resume();
  }

  #next(): void {
    const piece = this.#waiting.shift();
    this.#writing = piece !== undefined;
    if (piece) this.#socket.write(piece, (error) => !error && this.#written(piece.length));
    else if (this.#ending) this.#socket.end();
  }

  #written(count: number): void {
    this.#bytes -= count;
    this.#next();
    if (!this.#full || this.#bytes > ROOM_BYTES) return;
    this.#full = false;
    this.emit('drain');
  }
}
