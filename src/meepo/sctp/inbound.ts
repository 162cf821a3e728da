import { type DataChunk, FIRST, LAST, type Sack, serialAdd, serialDiff } from '../../wire/sctp.js';
import { GAPS_MAX, MESSAGE_MAX_BYTES, WINDOW_BYTES } from './limits.js';

/** A whole message of one stream. */
export interface SctpMessage {
  readonly stream: number;
  readonly protocol: number;
  readonly data: Buffer;
}

interface Assembly {
  readonly stream: number;
  readonly pieces: Buffer[];
  bytes: number;
}

/**
 * What arrives on an association: pieces in any order become messages in the order in which they were sent. Streams are
 * not let past each other, so that a message in pieces is one run of numbers; a lost packet holds up all for one round trip.
 */
export class Inbound {
  #cumulative: number;
  readonly #early = new Map<number, DataChunk>();
  /** Pieces of one message come in one run. */
  #assembly: Assembly | undefined;
  /** Bytes that wait for others, and those that a slow reader holds. */
  #waiting = 0;
  #held = 0;

  constructor(firstTsn: number) {
    this.#cumulative = serialAdd(firstTsn, -1);
  }

  get cumulative(): number {
    return this.#cumulative;
  }

  /** True while something is missing. */
  get hasGaps(): boolean {
    return this.#early.size > 0;
  }

  /** Takes from the window what readers have not taken, or gives it back. */
  hold(bytes: number): void {
    this.#held += bytes;
  }

  /**
   * One piece; yields the messages that are whole now, undefined if the piece was there before or has no room.
   * @throws RangeError for what no peer may send
   */
  take(chunk: DataChunk): SctpMessage[] | undefined {
    const ahead = serialDiff(chunk.tsn, this.#cumulative);
    if (ahead <= 0 || this.#early.has(chunk.tsn)) return undefined;
    const messages: SctpMessage[] = [];
    if (ahead > 1) {
      if (ahead > 0xffff || this.#waiting + chunk.data.length > WINDOW_BYTES) return undefined;
      this.#early.set(chunk.tsn, chunk);
      this.#waiting += chunk.data.length;
      return messages;
    }
    let next: DataChunk | undefined = chunk;
    while (next) {
      this.#cumulative = next.tsn;
      this.#join(next, messages);
      if (this.#early.size === 0) break;
      const tsn: number = serialAdd(this.#cumulative, 1);
      next = this.#early.get(tsn);
      if (next) this.#waiting -= next.data.length;
      this.#early.delete(tsn);
    }
    return messages;
  }

  sack(): Sack {
    const window = Math.max(0, WINDOW_BYTES - this.#held - this.#waiting);
    return { cumulative: this.#cumulative, window, gaps: this.#early.size === 0 ? [] : this.#gaps() };
  }

  #gaps(): (readonly [number, number])[] {
    const offsets = [...this.#early.keys()].map((tsn) => serialDiff(tsn, this.#cumulative));
    offsets.sort((a, b) => a - b);
    const gaps: [number, number][] = [];
    for (const offset of offsets) {
      const last = gaps.at(-1);
      if (last && last[1] === offset - 1) last[1] = offset;
      else if (gaps.length < GAPS_MAX) gaps.push([offset, offset]);
      else break;
    }
    return gaps;
  }

  #join({ flags, stream, protocol, data }: DataChunk, messages: SctpMessage[]): void {
    const begun = this.#assembly;
    if ((flags & FIRST) !== 0 ? begun !== undefined : begun?.stream !== stream) {
      throw new RangeError('pieces of a message are missing');
    }
    if ((flags & LAST) !== 0 && !begun) {
      messages.push({ stream, protocol, data });
      return;
    }
    const assembly = begun ?? { stream, pieces: [], bytes: 0 };
    assembly.pieces.push(data);
    assembly.bytes += data.length;
    if (assembly.bytes > MESSAGE_MAX_BYTES) throw new RangeError('a message is too long');
    this.#assembly = (flags & LAST) === 0 ? assembly : undefined;
    if (this.#assembly) return;
    messages.push({ stream, protocol, data: Buffer.concat(assembly.pieces, assembly.bytes) });
  }
}
