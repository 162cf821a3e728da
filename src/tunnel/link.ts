import { AwlError, errorText } from '../errors.js';
import {
  decodeFrames,
  encodeFrameHeader,
  TUNNEL_FRAME_HEADER_BYTES,
  type TunnelFrame,
} from '../wire/tunnel-frame.js';
import type { DirectionKeys } from '../wire/tunnel-keys.js';
import { TUNNEL_QUEUE_BYTES, TUNNEL_RECORD_BYTES } from '../wire/tunnel-limits.js';
import { RecordOpener, RecordSealer } from '../wire/tunnel-record.js';
import type { UdxStream } from './udx.js';

export interface LinkOptions {
  readonly stream: UdxStream;
  readonly send: Pick<DirectionKeys, 'stream'>;
  readonly receive: Pick<DirectionKeys, 'stream'>;
  readonly onFrame: (frame: TunnelFrame) => void;
  /** Once: the stream is over, or the peer broke the rules. */
  readonly onClose: (error: AwlError | undefined) => void;
}

/**
 * Frames in sealed records over a byte stream. Small frames of one turn of the event loop share a record; frames
 * keep their order; what cannot go out yet is bounded.
 */
export class Link {
  readonly #options: LinkOptions;
  readonly #sealer: RecordSealer;
  readonly #opener: RecordOpener;
  readonly #waiting: (() => void)[] = [];
  #parts: Uint8Array[] = [];
  #bytes = 0;
  #queue: Buffer[] = [];
  #queued = 0;
  #flush: NodeJS.Immediate | undefined;
  #clear = true;
  #over = false;
  /** Wire bytes since the start. */
  received = 0;
  sent = 0;

  constructor(options: LinkOptions) {
    const { stream } = options;
    this.#options = options;
    this.#sealer = new RecordSealer(options.send.stream);
    this.#opener = new RecordOpener(options.receive.stream);
    stream.on('data', (piece: Uint8Array) => this.#arrived(piece));
    stream.on('drain', () => this.#drained());
    stream.on('end', () => this.#close(undefined));
    stream.on('error', (cause: Error) =>
      this.#close(new AwlError('TUNNEL_LOST', `the path to the peer broke: ${errorText(cause)}`, { cause })),
    );
    stream.on('close', () => this.#close(undefined));
  }

  /** False while the network has not taken what was sent; control frames may be sent all the same. */
  get writable(): boolean {
    return this.#clear && !this.#over;
  }

  /** Calls back once when {@link writable}, in the order of asking. */
  whenWritable(call: () => void): void {
    this.#waiting.push(call);
  }

  send(frame: TunnelFrame): void {
    if (this.#over) return;
    const size = TUNNEL_FRAME_HEADER_BYTES + frame.body.length;
    if (this.#bytes + size > TUNNEL_RECORD_BYTES) this.flush();
    this.#parts.push(encodeFrameHeader(frame.type, frame.channel, frame.body.length));
    if (frame.body.length > 0) this.#parts.push(frame.body);
    this.#bytes += size;
    if (this.#bytes > TUNNEL_RECORD_BYTES / 2) this.flush();
    else this.#flush ??= setImmediate(() => this.flush());
  }

  /** Seals what waits and hands it to the network. */
  flush(): void {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    if (this.#bytes === 0 || this.#over) return;
    const record = this.#sealer.seal(this.#parts);
    this.#parts = [];
    this.#bytes = 0;
    this.#queue.push(record);
    this.#queued += record.length;
    this.#pump();
    if (this.#queued > TUNNEL_QUEUE_BYTES) {
      this.#close(new AwlError('TUNNEL_LOST', 'the peer asks without taking our answers'));
    }
  }

  /** Sends what is left and ends our direction; nothing is read any more. */
  end(): void {
    this.flush();
    this.#over = true;
    for (const record of this.#queue.splice(0)) this.#options.stream.write(record);
    this.#options.stream.end();
  }

  #pump(): void {
    while (this.#clear) {
      const record = this.#queue.shift();
      if (!record) return;
      this.#queued -= record.length;
      this.sent += record.length;
      this.#clear = this.#options.stream.write(record) !== false;
    }
  }

  #drained(): void {
    this.#clear = true;
    this.#pump();
    while (this.#clear && !this.#over) {
      const next = this.#waiting.shift();
      if (!next) return;
      next();
    }
  }

  #arrived(piece: Uint8Array): void {
    if (this.#over) return;
    this.received += piece.length;
    try {
      for (const record of this.#opener.open(piece)) {
        for (const frame of decodeFrames(record)) {
          if (this.#over) return;
          this.#options.onFrame(frame);
        }
      }
    } catch (error) {
      this.#close(
        error instanceof AwlError ? error : new AwlError('INTERNAL', errorText(error), { cause: error }),
      );
    }
  }

  #close(error: AwlError | undefined): void {
    if (this.#over) return;
    this.#over = true;
    clearImmediate(this.#flush);
    this.#options.onClose(error);
  }
}
