import { type DataChunk, dataBytes, FIRST, LAST, type Sack, serialAdd, serialDiff } from '../../wire/sctp.js';
import type { SctpMessage } from './inbound.js';
import { PIECE_BYTES, PROBE_MS, REORDER } from './limits.js';
import { CongestionWindow } from './window.js';

interface Sent {
  readonly piece: DataChunk;
  /** When it went out last: the how manieth of all, and the clock. */
  order: number;
  at: number;
  again: boolean;
  arrived: boolean;
  lost: boolean;
}

/** What waits to be sent for the first time. */
interface Waiting extends SctpMessage {
  at: number;
}

/** What is to be sent on an association, and what was sent and is not acknowledged. Time comes in milliseconds. */
export class Outbound {
  readonly #window = new CongestionWindow();
  readonly #urgent: Waiting[] = [];
  #queue: Waiting[] = [];
  #queueAt = 0;
  /** A message goes out in one run of numbers. */
  #current: Waiting | undefined;
  /** Sent, from `#sentAt` on: one entry a number, the first behind `#cumulative`. */
  #sent: Sent[] = [];
  #sentAt = 0;
  #cumulative: number;
  #nextTsn: number;
  #order = 0;
  #lost: Sent[] = [];
  /** Losses of what was sent before this one are the same event. */
  #recovery = 0;
  #flight = 0;
  #peerWindow: number;
  #armedAt = 0;
  readonly #sequences = new Map<number, number>();
  /** Bytes of each stream that were not acknowledged yet. */
  readonly #pending = new Map<number, number>();

  constructor(firstTsn: number, peerWindow: number) {
    this.#nextTsn = firstTsn;
    this.#cumulative = serialAdd(firstTsn, -1);
    this.#peerWindow = peerWindow;
  }

  /** The last number that was given out. */
  get lastTsn(): number {
    return serialAdd(this.#nextTsn, -1);
  }

  /** When to call {@link Outbound.expire}; undefined while nothing is waited for. */
  get deadline(): number | undefined {
    if (this.#flight > 0) return this.#armedAt + this.#window.timeout;
    return this.#hasMore() ? this.#armedAt + PROBE_MS : undefined;
  }

  /** True once all of a stream has arrived. */
  isIdle(stream: number): boolean {
    return !this.#pending.has(stream);
  }

  /** Numbers of this stream's messages begin anew. */
  restart(stream: number): void {
    this.#sequences.delete(stream);
  }

  /** `urgent` messages go before all others that were not begun. */
  push(message: SctpMessage, urgent = false): void {
    const waiting = { ...message, at: 0 };
    if (urgent) this.#urgent.push(waiting);
    else this.#queue.push(waiting);
    const { stream, data } = message;
    this.#pending.set(stream, (this.#pending.get(stream) ?? 0) + data.length);
  }

  /**
   * The pieces of the next packet that may go out: one that fills it, or small ones together. `left` hears of those that
   * go out for the first time.
   */
  packet(now: number, left: (stream: number, bytes: number) => void): DataChunk[] {
    const pieces: DataChunk[] = [];
    for (let room = PIECE_BYTES, next = this.#next(now, room); next; ) {
      const { piece, first } = next;
      pieces.push(piece);
      if (first) left(piece.stream, piece.data.length);
      room -= dataBytes(piece.data);
      next = room > 0 ? this.#next(now, room) : undefined;
    }
    return pieces;
  }

  /** The next piece, of at most `room` bytes; `first` tells that it never went out before. */
  #next(now: number, room: number): { readonly piece: DataChunk; readonly first: boolean } | undefined {
    const { bytes } = this.#window;
    if (this.#flight > 0 && this.#flight + PIECE_BYTES > bytes) return undefined;
    const lost = this.#lost[0];
    if (lost) {
      if (lost.piece.data.length > room) return undefined;
      this.#lost.shift();
      lost.lost = false;
      lost.again = true;
      this.#leaves(lost, now);
      return { piece: lost.piece, first: false };
    }
    const message = this.#message();
    if (!message) return undefined;
    const size = Math.min(PIECE_BYTES, message.data.length - message.at);
    if (size > room) return undefined;
    if (this.#flight + size > this.#peerWindow) {
      // A window that is closed is asked after now and then, by one piece.
      if (this.#flight > 0 || now < this.#armedAt + PROBE_MS) return undefined;
    }
    const piece = this.#cut(message, size);
    const sent = { piece, order: 0, at: now, again: false, arrived: false, lost: false };
    this.#sent.push(sent);
    this.#leaves(sent, now);
    return { piece, first: true };
  }

  /** The peer's word on what arrived; false if it is an old one, or none that can be. */
  acknowledge({ cumulative, window, gaps }: Sack, now: number): boolean {
    const count = serialDiff(cumulative, this.#cumulative);
    if (count < 0 || count > this.#sent.length - this.#sentAt) return false;
    const full = this.#flight + 2 * PIECE_BYTES > this.#window.bytes;
    let arrived = 0;
    let newest: Sent | undefined;
    let early = false;
    const take = (sent: Sent | undefined) => {
      if (!sent || sent.arrived) return;
      const { length } = sent.piece.data;
      sent.arrived = true;
      arrived += length;
      // What was given up already is not under way; if it came all the same, it was too early for that.
      if (!sent.lost) this.#flight -= length;
      else if (!sent.again) early = true;
      this.#settle(sent.piece.stream, length);
      if (!newest || sent.order > newest.order) newest = sent;
    };
    for (let i = 0; i < count; i++) take(this.#sent[this.#sentAt + i]);
    this.#sentAt += count;
    this.#cumulative = cumulative;
    for (const [first, last] of gaps) {
      const end = Math.min(last, this.#sent.length - this.#sentAt);
      for (let i = first; i <= end; i++) take(this.#sent[this.#sentAt + i - 1]);
    }
    this.#trim();
    this.#peerWindow = window;
    if (early) this.#window.spurious();
    if (newest) this.#progress(newest, arrived, full, gaps.length > 0, now);
    return true;
  }

  /** The time of {@link deadline} is over: all that is under way is sent again, slowly. */
  expire(now: number): void {
    this.#armedAt = Math.min(this.#armedAt, now - PROBE_MS);
    if (this.#flight === 0) return;
    this.#window.silent();
    this.#recovery = this.#order;
    for (let i = this.#sentAt; i < this.#sent.length; i++) this.#giveUp(this.#sent[i] as Sent);
    this.#sortLost();
    this.#flight = 0;
  }

  #progress(newest: Sent, arrived: number, full: boolean, gaps: boolean, now: number): void {
    this.#armedAt = now;
    if (!newest.again) this.#window.measured(now - newest.at, full);
    if (this.#lost.length > 0) this.#lost = this.#lost.filter((one) => !one.arrived);
    let event = false;
    // Without gaps and repetitions all was sent in the order of its numbers: nothing is overtaken.
    if (gaps || newest.again) {
      for (let i = this.#sentAt; i < this.#sent.length; i++) {
        const one = this.#sent[i] as Sent;
        if (one.arrived || one.lost || one.order + REORDER > newest.order) continue;
        if (one.order >= this.#recovery) event = true;
        this.#flight -= one.piece.data.length;
        this.#giveUp(one);
      }
      this.#sortLost();
    }
    if (event) {
      this.#window.lost();
      this.#recovery = this.#order;
    } else if (newest.order >= this.#recovery) {
      this.#window.acknowledged(arrived, full);
    }
  }

  #giveUp(sent: Sent): void {
    if (sent.arrived || sent.lost) return;
    sent.lost = true;
    this.#lost.push(sent);
  }

  #sortLost(): void {
    this.#lost.sort((a, b) => serialDiff(a.piece.tsn, b.piece.tsn));
  }

  #leaves(sent: Sent, now: number): void {
    if (this.#flight === 0) this.#armedAt = now;
    sent.order = this.#order++;
    sent.at = now;
    this.#flight += sent.piece.data.length;
  }

  #settle(stream: number, bytes: number): void {
    const left = (this.#pending.get(stream) ?? 0) - bytes;
    if (left > 0) this.#pending.set(stream, left);
    else this.#pending.delete(stream);
  }

  #hasMore(): boolean {
    return this.#current !== undefined || this.#urgent.length > 0 || this.#queue.length > this.#queueAt;
  }

  #message(): Waiting | undefined {
    if (this.#current) return this.#current;
    this.#current = this.#urgent.shift() ?? this.#queue[this.#queueAt];
    if (this.#current && this.#current === this.#queue[this.#queueAt]) {
      this.#queueAt += 1;
      if (this.#queueAt > 16 && this.#queueAt * 2 > this.#queue.length) {
        this.#queue = this.#queue.slice(this.#queueAt);
        this.#queueAt = 0;
      }
    }
    return this.#current;
  }

  #cut(message: Waiting, size: number): DataChunk {
    const { stream, protocol, data, at } = message;
    const ends = at + size === data.length;
    const sequence = this.#sequences.get(stream) ?? 0;
    const flags = (at === 0 ? FIRST : 0) | (ends ? LAST : 0);
    message.at += size;
    if (ends) {
      this.#current = undefined;
      this.#sequences.set(stream, (sequence + 1) & 0xffff);
    }
    const tsn = this.#nextTsn;
    this.#nextTsn = serialAdd(tsn, 1);
    return { flags, tsn, stream, sequence, protocol, data: data.subarray(at, at + size) };
  }

  #trim(): void {
    if (this.#sentAt < 64 || this.#sentAt * 2 < this.#sent.length) return;
    this.#sent = this.#sent.slice(this.#sentAt);
    this.#sentAt = 0;
  }
}
