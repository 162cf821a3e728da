import { AEAD_TAG_BYTES } from '../../util/aead.js';
import { BufferPool } from '../../util/buffer-pool.js';
import {
  SEGMENT_BYTES,
  SEGMENTS_MAX,
  shareOf,
  VOLLEY_BYTES,
  volleyBytes,
  WIRE_BYTES,
  writeVolley,
} from '../../wire/volley.js';
import type { ReportPart, VolleyReport } from '../../wire/volley-report.js';
import { Bandwidth } from './bandwidth.js';
import {
  type Flight,
  MarksPool,
  PieceQueue,
  pieceOf,
  type Sendable,
  shorter,
  sizeOf,
  type Tally,
} from './flight.js';
import { HOLD_MS, REORDER_MS, REORDER_SHARE, VOLLEY_SPARE, VOLLEY_WINDOW } from './limits.js';
import { WideLoss } from './width.js';

/**
 * The sending half: seals what waits into volleys as large as may go, keeps them until the peer has them, and finds
 * out from reports what was lost (RFC 8985: whatever was sent well before something that arrived). Pure: who sends
 * asks {@link next} for what may go now.
 */
export class Departures {
  readonly bandwidth = new Bandwidth();
  readonly #key: Buffer;
  readonly #token: number;
  readonly #pool = new BufferPool(WIRE_BYTES, VOLLEY_SPARE);
  readonly #waiting = new PieceQueue();
  #ending: 'no' | 'asked' | 'sent' = 'no';
  readonly #marks = new MarksPool();
  readonly #flights = new Map<number, Flight>();
  readonly #lost: { readonly flight: Flight; readonly index: number }[] = [];
  #next = 0;
  #oldest = 0;
  #inFlight = 0;
  #lostBytes = 0;
  #serial = -1;
  /** When the last volley left that was as large as they get. */
  #fullAt = Number.NEGATIVE_INFINITY;
  /** When the newest of what arrived was sent. */
  #arrivedAt = 0;
  /** Bytes of the segments of volleys that are sealed from now on; see {@link recut}. */
  width = SEGMENT_BYTES;
  readonly wideLoss = new WideLoss();
  /** Segments sent, and those of them that were sent before. */
  sent = 0;
  repeated = 0;

  constructor(key: Buffer, token: number) {
    this.#key = key;
    this.#token = token;
  }

  get waiting(): number {
    return this.#waiting.bytes;
  }

  /** Bytes under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** The peer has all there was, and knows that there is no more. */
  get done(): boolean {
    return this.#ending === 'sent' && this.#flights.size === 0;
  }

  get hasMore(): boolean {
    return this.#lost.length > 0 || this.#waiting.bytes > 0 || this.#ending === 'asked';
  }

  add(data: Uint8Array): void {
    this.#waiting.add(data);
  }

  /** An empty volley behind everything else is the end. */
  end(): void {
    if (this.#ending === 'no') this.#ending = 'asked';
  }

  /** When what waits may go: little of it waits a moment behind full volleys, for more is on its way nearly always. */
  get heldUntil(): number {
    const full = this.#lost.length > 0 || this.#waiting.bytes >= VOLLEY_BYTES || this.#ending !== 'no';
    return full ? Number.NEGATIVE_INFINITY : this.#fullAt + HOLD_MS;
  }

  /** What to send at once, of at most `budget` bytes but one segment at least; nothing if nothing may go. */
  next(now: number, budget: number): Sendable | undefined {
    const room = this.bandwidth.flight - this.#inFlight;
    if (room <= 0) return undefined;
    const most = Math.max(this.width, Math.min(budget, room));
    if (this.#lost.length > 0) return this.#repeat(now, most);
    if (this.#next >= this.#oldest + VOLLEY_WINDOW || now < this.heldUntil) return undefined;
    return this.hasMore ? this.#seal(now, most) : undefined;
  }

  /**
   * Learns what arrived.
   * @throws RangeError if the peer reports what was never sent
   */
  report(report: VolleyReport, now: number): void {
    if (report.serial <= this.#serial) return;
    // Of single segments anybody on the path can make the peer believe; not of whole volleys.
    if (report.next > this.#next || report.next < this.#oldest)
      throw new RangeError('reports what was never sent');
    this.#serial = report.serial;
    const tally: Tally = { bytes: 0, newest: undefined, newestAt: 0, once: false };
    for (; this.#oldest < report.next; this.#oldest++) this.#arrived(this.#oldest, tally);
    for (const part of report.parts) this.#learn(part, tally);
    this.#arrivedAt = Math.max(this.#arrivedAt, tally.newestAt);
    const before = this.#lostBytes;
    this.#findLost(report, now);
    this.bandwidth.delivers(now, {
      bytes: tally.bytes,
      lost: this.#lostBytes - before,
      departure: tally.newest,
      rttMs: tally.once ? Math.max(0.01, now - tally.newestAt - report.delayMs) : undefined,
      inFlight: this.#inFlight,
      room: report.room,
    });
  }

  /** One segment of the newest volley again: its report tells what became of the rest. */
  probe(now: number): Sendable | undefined {
    const flight = [...this.#flights.values()].at(-1);
    if (!flight) return undefined;
    const index = Math.max(0, flight.marks.got.subarray(0, flight.count).lastIndexOf(0));
    this.#resent(flight, index, now);
    return { wire: pieceOf(flight, index), width: flight.width };
  }

  /** Segments of every path's width again: what is under way in wider ones is cut anew and counts as lost. */
  recut(): void {
    this.width = SEGMENT_BYTES;
    this.wideLoss.bytes = 0;
    this.#lost.length = 0;
    for (const old of this.#flights.values()) {
      if (old.width === SEGMENT_BYTES) {
        for (let index = 0; index < old.count; index++) {
          const { got, sentAt } = old.marks;
          if (!got[index] && sentAt[index] === 0) this.#lost.push({ flight: old, index });
        }
        continue;
      }
      for (let index = 0; index < old.count; index++) {
        if (old.marks.sentAt[index] !== 0) this.#inFlight -= sizeOf(old, index);
      }
      const flight = shorter(old, this.#marks);
      // Its memory is nobody's: the kernel may not have taken all of it yet.
      this.#flights.set(old.number, flight);
      for (let index = 0; index < flight.count; index++) this.#lost.push({ flight, index });
    }
  }

  /** Nothing was heard for long: all of it counts as lost. */
  giveUp(): void {
    for (const flight of this.#flights.values()) {
      for (let index = 0; index < flight.count; index++) this.#lose(flight, index);
    }
    this.bandwidth.stalls();
  }

  #seal(now: number, most: number): Sendable {
    const { width } = this;
    const fits = Math.min(VOLLEY_BYTES, Math.floor(most / width) * shareOf(width) - AEAD_TAG_BYTES);
    const plain = this.#waiting.take(fits);
    const bytes = plain.reduce((sum, { length }) => sum + length, 0);
    if (bytes === 0) this.#ending = 'sent';
    else if (bytes === VOLLEY_BYTES) this.#fullAt = now;
    const number = this.#next++;
    const wire = this.#pool.take(volleyBytes(bytes, width));
    writeVolley(wire, this.#key, { token: this.#token, number }, plain, width);
    const count = Math.ceil(wire.length / width);
    this.#flights.set(number, {
      number,
      wire,
      width,
      count,
      marks: this.#marks.take(count, now),
      departure: this.bandwidth.departs(now, this.#inFlight),
      again: undefined,
    });
    this.#inFlight += wire.length;
    this.sent += count;
    return { wire, width };
  }

  /** Lost segments in one piece: all but the last of a volley are equally long, and a short one ends the piece. */
  #repeat(now: number, most: number): Sendable | undefined {
    const pieces: Buffer[] = [];
    let width = 0;
    for (let bytes = 0; pieces.length < SEGMENTS_MAX; this.#lost.shift()) {
      const one = this.#lost[0];
      if (!one) break;
      const { flight, index } = one;
      const { got, sentAt } = flight.marks;
      // Reported since, or the volley is gone.
      if (got[index] || sentAt[index] !== 0 || this.#flights.get(flight.number) !== flight) continue;
      const other = width !== 0 && (width !== flight.width || bytes + width > Math.min(most, WIRE_BYTES));
      if (other) break;
      width = flight.width;
      const piece = pieceOf(flight, index);
      pieces.push(piece);
      bytes += piece.length;
      this.#resent(flight, index, now);
      if (piece.length < width) {
        this.#lost.shift();
        break;
      }
    }
    if (pieces.length > 0) return { wire: Buffer.concat(pieces), width };
    return this.next(now, most);
  }

  #resent(flight: Flight, index: number, now: number): void {
    const departure = this.bandwidth.departs(now, this.#inFlight);
    if (flight.marks.sentAt[index] === 0) this.#inFlight += sizeOf(flight, index);
    flight.marks.sentAt[index] = now;
    flight.again = departure;
    this.sent += 1;
    this.repeated += 1;
  }

  #arrived(number: number, tally: Tally): void {
    const flight = this.#flights.get(number);
    if (!flight) return;
    for (let index = 0; index < flight.count; index++) this.#have(flight, index, tally);
    this.#flights.delete(number);
    this.#pool.give(flight.wire);
    this.#marks.give(flight.marks);
  }

  #learn(part: ReportPart, tally: Tally): void {
    if ('run' in part) {
      for (let i = 0; i < part.run; i++) this.#arrived(part.number + i, tally);
      return;
    }
    const flight = this.#flights.get(part.number);
    if (!flight || flight.count !== part.got.length) return;
    for (const [index, there] of part.got.entries()) {
      if (there) {
        this.#have(flight, index, tally);
      } else if (flight.marks.got[index]) {
        // Forgotten again, for the volley did not open.
        flight.marks.got[index] = 0;
        this.#lost.push({ flight, index });
      }
    }
  }

  #have(flight: Flight, index: number, tally: Tally): void {
    if (flight.marks.got[index]) return;
    flight.marks.got[index] = 1;
    const size = sizeOf(flight, index);
    const at = flight.marks.sentAt[index] as number;
    flight.marks.sentAt[index] = 0;
    if (at > 0) this.#inFlight -= size;
    tally.bytes += size;
    if (size > SEGMENT_BYTES) this.wideLoss.bytes = 0;
    if (at <= tally.newestAt) return;
    tally.newestAt = at;
    tally.once = at === flight.departure.at;
    tally.newest = tally.once ? flight.departure : at === flight.again?.at ? flight.again : undefined;
  }

  /** The peer would have told of these before what it told of. */
  #findLost({ seen }: VolleyReport, now: number): void {
    const before = this.#arrivedAt - Math.max(REORDER_MS, REORDER_SHARE * this.bandwidth.rttMs);
    for (const flight of this.#flights.values()) {
      if (flight.number >= seen) break;
      for (let index = 0; index < flight.count; index++) {
        const at = flight.marks.sentAt[index] as number;
        if (at > 0 && at < before) this.#lose(flight, index);
      }
    }
    this.wideLoss.known(now);
  }

  #lose(flight: Flight, index: number): void {
    if (flight.marks.sentAt[index] === 0) return;
    const size = sizeOf(flight, index);
    this.#inFlight -= size;
    this.#lostBytes += size;
    if (size > SEGMENT_BYTES) this.wideLoss.bytes += size;
    flight.marks.sentAt[index] = 0;
    this.#lost.push({ flight, index });
  }
}
