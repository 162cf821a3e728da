import {
  encodeResetRequest,
  encodeResetResponse,
  RESET_DONE,
  RESET_IN_PROGRESS,
  type ResetRequest,
  serialAdd,
  serialDiff,
} from '../../wire/sctp.js';
import { RESET_MS, RESETS_MAX } from './limits.js';

/** What resets need of their association. */
export interface ResetPort {
  send(chunk: Buffer): void;
  /** True once all that was sent on this stream has arrived. */
  isIdle(stream: number): boolean;
  /** The last number that was given out, and the last one that came with all before it. */
  readonly lastTsn: number;
  readonly cumulative: number;
  /** Our end of a stream was closed and the peer knows; or the peer closed its end. */
  closed(stream: number, by: 'us' | 'peer'): void;
}

/** The two ends of streams being closed: requests of ours, one at a time, and those of the peer (RFC 6525). */
export class Resets {
  readonly #port: ResetPort;
  readonly #wanted = new Set<number>();
  #nextSequence: number;
  #open: ResetRequest | undefined;
  #sentAt = 0;
  /** The peer's last request, and the one that waits for what was sent before it. */
  #answered: number | undefined;
  #waiting: ResetRequest | undefined;

  constructor(port: ResetPort, firstSequence: number) {
    this.#port = port;
    this.#nextSequence = firstSequence;
  }

  /** When {@link advance} has something to repeat. */
  get deadline(): number | undefined {
    return this.#open && this.#sentAt + RESET_MS;
  }

  /** Closes our end of a stream when all of it has arrived. */
  want(stream: number): void {
    this.#wanted.add(stream);
  }

  /** Sends, or repeats, what is due; does what the peer asked once it can be done. */
  advance(now: number): void {
    const waiting = this.#waiting;
    if (waiting && serialDiff(this.#port.cumulative, waiting.lastTsn) >= 0) this.#perform(waiting);
    if (!this.#open && this.#wanted.size > 0) {
      const streams = [...this.#wanted].filter((one) => this.#port.isIdle(one)).slice(0, RESETS_MAX);
      if (streams.length === 0) return;
      for (const stream of streams) this.#wanted.delete(stream);
      this.#open = { sequence: this.#nextSequence, lastTsn: this.#port.lastTsn, streams };
      this.#nextSequence = serialAdd(this.#nextSequence, 1);
      this.#sentAt = Number.NEGATIVE_INFINITY;
    }
    if (!this.#open || now < this.#sentAt + RESET_MS) return;
    this.#sentAt = now;
    this.#port.send(encodeResetRequest(this.#open));
  }

  /** A request of the peer. One that came before is answered again. */
  request(request: ResetRequest): void {
    if (request.sequence === this.#answered) {
      this.#port.send(encodeResetResponse(request.sequence, RESET_DONE));
    } else if (serialDiff(this.#port.cumulative, request.lastTsn) >= 0) {
      this.#perform(request);
    } else {
      this.#waiting = request;
      this.#port.send(encodeResetResponse(request.sequence, RESET_IN_PROGRESS));
    }
  }

  /** The peer's answer to ours; a refusal ends the stream, too, as there is nothing else to be done with it. */
  response({ sequence, result }: { readonly sequence: number; readonly result: number }): void {
    const open = this.#open;
    if (open?.sequence !== sequence || result === RESET_IN_PROGRESS) return;
    this.#open = undefined;
    for (const stream of open.streams) this.#port.closed(stream, 'us');
  }

  #perform({ sequence, streams }: ResetRequest): void {
    this.#waiting = undefined;
    this.#answered = sequence;
    this.#port.send(encodeResetResponse(sequence, RESET_DONE));
    for (const stream of streams) this.#port.closed(stream, 'peer');
  }
}
