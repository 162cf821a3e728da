import { AwlError, errorText } from '../errors.js';
import { AEAD_TAG_BYTES } from '../util/aead.js';
import { BufferPool } from '../util/buffer-pool.js';
import { TUNNEL_QUEUE_BYTES, TUNNEL_RECORD_BYTES, TUNNEL_SPARE_RECORDS } from '../wire/tunnel-limits.js';
import { frameRecord, RECORD_LENGTH_BYTES, RecordOpener, RecordSealer } from '../wire/tunnel-record.js';
import type { Carrier } from './carrier.js';
import { Datagrams } from './datagrams.js';

/** Who uses a link. */
export interface LinkUser {
  /** Its memory is used again when this returns, unless `keep` was called. */
  readonly record: (record: Buffer, keep: () => void) => void;
  /** More may be written. */
  readonly drained: () => void;
  /** Once: the stream is over or broke, or the peer's records do not open. */
  readonly closed: (error: AwlError) => void;
}

/** Records over one carrier, sealed unless the carrier protects itself. What arrives before somebody listens waits. */
export class Link {
  readonly carrier: Carrier;
  readonly datagrams: Datagrams;
  readonly #sealer: RecordSealer;
  readonly #opener: RecordOpener;
  readonly #keep = () => this.#opener.keep();
  readonly #pool = new BufferPool(
    RECORD_LENGTH_BYTES + TUNNEL_RECORD_BYTES + AEAD_TAG_BYTES,
    TUNNEL_SPARE_RECORDS,
  );
  /** Sealed records that the peer may not have yet; until it has them the carrier may send from their memory. */
  readonly #flight: Buffer[] = [];
  #user: LinkUser | undefined;
  #early: Buffer[] = [];
  #earlyBytes = 0;
  #failure: AwlError | undefined;
  #gone: Promise<void> | undefined;
  readonly #streamClosed: Promise<void>;
  /** False while the network has not taken what was written. */
  clear = true;
  /** Wire bytes since the start. */
  received = 0;
  sent = 0;

  constructor(carrier: Carrier) {
    const { stream, keys } = carrier;
    const bare = carrier.secure || carrier.sealed;
    this.carrier = carrier;
    this.datagrams = new Datagrams(carrier);
    this.#sealer = new RecordSealer(bare ? undefined : keys.send.stream);
    this.#opener = new RecordOpener(bare ? undefined : keys.receive.stream);
    stream.on('data', (piece: Uint8Array) => this.#arrived(piece));
    stream.on('drain', () => {
      this.clear = true;
      this.#user?.drained();
    });
    stream.on('end', () => this.#fail(lost('the peer ended the stream without a word')));
    stream.on('error', (cause: Error) => this.#fail(lost(errorText(cause), cause)));
    this.#streamClosed = new Promise((resolve) => {
      stream.on('close', () => {
        this.#fail(lost('its stream was closed'));
        resolve();
      });
    });
  }

  /** Says who is told from now on; what came before is told at once. */
  listen(user: LinkUser): void {
    this.#user = user;
    while (this.#user === user) {
      const record = this.#early.shift();
      if (!record) break;
      user.record(record, KEPT);
    }
    if (this.#failure && this.#user === user) this.#tell(user, this.#failure);
  }

  /** What comes from now on waits for the next one who listens. */
  pause(): void {
    this.#user = undefined;
  }

  /** Nobody listens any more, and what still comes is dropped. */
  mute(): void {
    this.#user = SILENCE;
    this.#early = [];
  }

  /** Sends a record that nobody keeps and counts: part of how a tunnel begins. */
  write(plain: Uint8Array): void {
    if (this.#failure || this.#gone) return;
    this.#put(this.#sealer.seal(frameRecord([plain], plain.length)));
  }

  /** Sends a record that has its length before it; see {@link acknowledged}. */
  writeFramed(framed: Buffer): void {
    if (this.#failure || this.#gone) return;
    const record = this.#sealer.seal(framed, (length) => this.#pool.take(length));
    if (record !== framed) this.#flight.push(record);
    this.#put(record);
  }

  /** The peer has so many more of what {@link writeFramed} sent. */
  acknowledged(count: number): void {
    for (const record of this.#flight.splice(0, count)) this.#pool.give(record);
  }

  #put(record: Buffer): void {
    this.sent += record.length;
    this.clear = this.carrier.stream.write(record) !== false;
  }

  /** Ends our direction, waits up to `graceMs` for the stream's end, and gives everything back. Idempotent. */
  close(graceMs: number): Promise<void> {
    this.#gone ??= this.#close(graceMs);
    return this.#gone;
  }

  async #close(graceMs: number): Promise<void> {
    const { stream } = this.carrier;
    this.mute();
    if (graceMs > 0 && !this.#failure) stream.end();
    else stream.destroy();
    const timer = setTimeout(() => stream.destroy(), graceMs);
    await this.#streamClosed;
    clearTimeout(timer);
    await this.carrier.close();
  }

  #arrived(piece: Uint8Array): void {
    if (this.#failure || this.#user === SILENCE) return;
    this.received += piece.length;
    try {
      for (const record of this.#opener.open(piece)) {
        if (this.#user) this.#user.record(record, this.#keep);
        else this.#wait(record);
      }
    } catch (error) {
      if (!(error instanceof AwlError)) throw error;
      this.#fail(error);
    }
  }

  #wait(record: Buffer): void {
    this.#keep();
    this.#early.push(record);
    this.#earlyBytes += record.length;
    if (this.#earlyBytes > TUNNEL_QUEUE_BYTES) throw lost('the peer sends before anybody listens');
  }

  #fail(error: AwlError): void {
    if (this.#failure) return;
    this.#failure = error;
    if (this.#user) this.#tell(this.#user, error);
  }

  #tell(user: LinkUser, error: AwlError): void {
    this.#user = SILENCE;
    user.closed(error);
  }
}

/** What waited is its reader's already. */
const KEPT = () => {};
const SILENCE: LinkUser = { record() {}, drained() {}, closed() {} };

/** The way to the peer broke; the tunnel on it may go on over another one. */
export function lost(what: string, cause?: unknown): AwlError {
  return new AwlError('TUNNEL_LOST', `the tunnel is lost: ${what}`, {
    hint: 'the peer or its network is gone, or a NAT forgot the mapping; start the session again',
    ...(cause !== undefined && { cause }),
  });
}
