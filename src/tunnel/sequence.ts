import { AwlError } from '../errors.js';
import { bodyCount, countFrame, decodeFrames, type TunnelFrame } from '../wire/tunnel-frame.js';
import {
  TUNNEL_ACK_BYTES,
  TUNNEL_ACK_RECORDS,
  TUNNEL_KEPT_BYTES,
  TUNNEL_QUEUE_BYTES,
} from '../wire/tunnel-limits.js';
import type { Link } from './link.js';
import { Outbox } from './outbox.js';

export interface SequenceOptions {
  /** The frame's memory is used again when this returns, unless `keep` was called. */
  readonly onFrame: (frame: TunnelFrame, keep: () => void) => void;
  /** The link is gone; another one may follow. */
  readonly onLost: (error: AwlError) => void;
  /** The peer broke the rules, or takes nothing: there is no way to go on. */
  readonly onBroken: (error: AwlError) => void;
}

/**
 * Frames in order, over one link after another: small ones of one turn of the event loop share a record, records
 * are numbered and kept until acknowledged, and a new link goes on where the peer says that the old one ended.
 */
export class Sequence {
  readonly #options: SequenceOptions;
  readonly #outbox = new Outbox();
  readonly #waiting: (() => void)[] = [];
  #link: Link | undefined;
  #flush: NodeJS.Immediate | undefined;
  #over = false;
  /** Records that arrived; of those, how many bytes and records are not acknowledged. */
  #got = 0;
  #unsaidBytes = 0;
  #unsaidRecords = 0;

  constructor(options: SequenceOptions) {
    this.#options = options;
  }

  /** Records that arrived so far: where a new link has to go on. */
  get got(): number {
    return this.#got;
  }

  get kept(): number {
    return this.#outbox.kept;
  }

  /** False while the network has not taken what was sent, or there is none; control frames may be sent all the same. */
  get writable(): boolean {
    return !this.#over && this.#link?.clear === true && this.#outbox.kept < TUNNEL_KEPT_BYTES;
  }

  /** Calls back once when {@link writable}, in the order of asking. */
  whenWritable(call: () => void): void {
    this.#waiting.push(call);
  }

  send(frame: TunnelFrame): void {
    if (this.#over) return;
    if (this.#outbox.add(frame)) this.flush();
    else this.#flush ??= setImmediate(() => this.flush());
  }

  /** Ends the record that is being filled and hands what waits to the network. */
  flush(): void {
    clearImmediate(this.#flush);
    this.#flush = undefined;
    if (this.#over) return;
    this.#outbox.seal();
    this.#pump();
    if (this.#outbox.waiting > TUNNEL_QUEUE_BYTES + TUNNEL_KEPT_BYTES) {
      this.#broken(new AwlError('TUNNEL_LOST', 'the peer asks without taking our answers'));
    }
  }

  /** Says how far we are, if the peer does not know. */
  acknowledge(): void {
    if (this.#unsaidRecords === 0) return;
    this.#unsaidBytes = 0;
    this.#unsaidRecords = 0;
    this.send(countFrame('ack', this.#got));
  }

  /**
   * Goes on over this link; `peerGot` is what the peer has of ours.
   * @throws AwlError MESSAGE_MALFORMED if that cannot be
   */
  attach(link: Link, peerGot: number): void {
    this.#link = link;
    this.#checked(() => this.#outbox.resume(peerGot));
    link.listen({
      record: (record, keep) => this.#arrived(record, keep),
      drained: () => this.#pump(),
      closed: (error) => this.#options.onLost(error),
    });
    this.flush();
    this.#wake();
  }

  /** Leaves the link, from which nothing is taken any more. */
  detach(): void {
    this.#link?.mute();
    this.#link = undefined;
  }

  /** Everything that waits goes out at once; nothing is sent or read after that. */
  end(): void {
    this.flush();
    this.#over = true;
    for (;;) {
      const record = this.#link && this.#outbox.take();
      if (!record) return;
      this.#link?.writeFramed(record);
    }
  }

  #pump(): void {
    while (this.#link?.clear) {
      const record = this.#outbox.take();
      if (!record) break;
      this.#link.writeFramed(record);
    }
    this.#wake();
  }

  #wake(): void {
    while (this.writable) {
      const next = this.#waiting.shift();
      if (!next) return;
      next();
    }
  }

  #arrived(record: Buffer, keep: () => void): void {
    if (this.#over) return;
    try {
      this.#got += 1;
      this.#unsaidRecords += 1;
      this.#unsaidBytes += record.length;
      for (const frame of decodeFrames(record)) {
        if (this.#over) return;
        if (frame.type === 'ack') this.#acknowledged(bodyCount(frame));
        else this.#options.onFrame(frame, keep);
      }
      if (this.#unsaidBytes >= TUNNEL_ACK_BYTES || this.#unsaidRecords >= TUNNEL_ACK_RECORDS) {
        this.acknowledge();
      }
    } catch (error) {
      this.#broken(error);
    }
  }

  #acknowledged(count: number): void {
    this.#checked(() => this.#link?.acknowledged(this.#outbox.acknowledged(count)));
    this.#wake();
  }

  #checked(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new AwlError('MESSAGE_MALFORMED', `the peer breaks the tunnel's rules: it ${error.message}`, {
        hint: 'both sides should run the same version of awl',
      });
    }
  }

  #broken(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    clearImmediate(this.#flush);
    this.#options.onBroken(
      error instanceof AwlError ? error : new AwlError('INTERNAL', String(error), { cause: error }),
    );
  }
}
