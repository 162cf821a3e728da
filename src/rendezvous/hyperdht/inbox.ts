import { type KnockReply, splitBox } from './knock.js';
import {
  DHT_ASSEMBLY_MAX_BYTES,
  DHT_ASSEMBLY_MS,
  DHT_ASSEMBLY_SOURCE_BYTES,
  DHT_WAITING_MAX,
  DHT_WAITING_MS,
} from './limits.js';
import { letterId, type Place } from './place.js';

/** A letter that arrived whole and may be answered. */
export interface Arrived {
  readonly key: string;
  readonly place: Place;
  readonly id: Buffer;
  /** Key of the inviter, where it left the letter as records of the DHT and looks for the answer there. */
  readonly recordsOf?: Buffer;
  readonly answered: Signal;
}

/** Something that will be true once. */
interface Signal {
  readonly promise: Promise<void>;
  readonly settle: () => void;
}

interface Waiting extends Arrived {
  readonly since: number;
  answer?: readonly Buffer[];
}

interface Assembly {
  readonly source: string;
  readonly since: number;
  readonly parts: (Buffer | undefined)[];
  readonly answered: Signal;
  bytes: number;
}

/** What came of a fragment: when the letter is answered, and the letter if this fragment was the last that was missing. */
export interface Taken {
  readonly answered: Promise<void>;
  readonly arrived?: { readonly letter: Arrived; readonly box: Buffer };
}

/**
 * The letters of one acceptor: fragments until they are whole, then the answer until nobody waits for it any more.
 * Bounded in number, bytes and time; what is oldest goes first, which its sender notices and repairs.
 */
export class Inbox {
  readonly #now: () => number;
  readonly #assemblies = new Map<string, Assembly>();
  readonly #waiting = new Map<string, Waiting>();
  readonly #bySource = new Map<string, number>();
  #bytes = 0;

  /** @param now milliseconds of a clock that does not jump */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Bytes of half-arrived letters. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The letter `id` of `place`, if it arrived and is remembered. */
  find(place: Place, id: Uint8Array): Arrived | undefined {
    this.#expire();
    return this.#waiting.get(keyOf(place, id));
  }

  /** Takes one fragment; a repeated one changes nothing. `source` is the address it came from. */
  take(
    place: Place,
    id: Buffer,
    part: { readonly index: number; readonly count: number; readonly bytes: Buffer },
    source: string,
  ): Taken {
    this.#expire();
    const key = keyOf(place, id);
    const known = this.#waiting.get(key);
    if (known) return { answered: known.answered.promise };
    const assembly = this.#assembly(key, part.count, source);
    const answered = assembly.answered.promise;
    if (assembly.parts.length !== part.count || assembly.parts[part.index]) return { answered };
    assembly.parts[part.index] = part.bytes;
    this.#count(assembly, part.bytes.length);
    const parts = assembly.parts.flatMap((bytes) => (bytes ? [bytes] : []));
    if (parts.length < part.count) {
      this.#makeRoom(key, source);
      return { answered };
    }
    this.#drop(key);
    const box = Buffer.concat(parts);
    if (!letterId(box).equals(id)) return { answered };
    const letter = { key, place, id, answered: assembly.answered };
    this.#enter(letter);
    return { answered, arrived: { letter, box } };
  }

  /** Enters a letter that lies in the DHT's records. */
  admit(place: Place, id: Buffer, recordsOf: Buffer): Arrived {
    const letter = { key: keyOf(place, id), place, id, recordsOf, answered: newSignal() };
    this.#enter(letter);
    return letter;
  }

  #enter(letter: Arrived): void {
    this.#waiting.set(letter.key, { ...letter, since: this.#now() });
    for (const oldest of this.#waiting.keys()) {
      if (this.#waiting.size <= DHT_WAITING_MAX) break;
      this.#waiting.delete(oldest);
    }
  }

  /** Lays the answer's box ready for whoever asks for it; undefined if nobody waits for it any more. */
  answer(key: string, box: (arrived: Arrived) => Buffer): { arrived: Arrived; box: Buffer } | undefined {
    this.#expire();
    const entry = this.#waiting.get(key);
    if (!entry) return undefined;
    const made = box(entry);
    entry.answer = splitBox(made);
    entry.answered.settle();
    return { arrived: entry, box: made };
  }

  /** What to reply to somebody who wants part `index` of the answer to this letter. */
  reply(place: Place, id: Uint8Array, index: number): KnockReply {
    const entry = this.#waiting.get(keyOf(place, id));
    if (!entry) return { op: 'incomplete' };
    if (!entry.answer) return { op: 'waiting' };
    const count = entry.answer.length;
    const at = index < count ? index : 0;
    return { op: 'answer', index: at, count, bytes: entry.answer[at] ?? Buffer.alloc(0) };
  }

  #assembly(key: string, count: number, source: string): Assembly {
    let assembly = this.#assemblies.get(key);
    if (!assembly) {
      const parts = new Array<Buffer | undefined>(count).fill(undefined);
      assembly = { source, since: this.#now(), parts, answered: newSignal(), bytes: 0 };
      this.#assemblies.set(key, assembly);
    }
    return assembly;
  }

  #count(assembly: Assembly, bytes: number): void {
    assembly.bytes += bytes;
    this.#bytes += bytes;
    const left = (this.#bySource.get(assembly.source) ?? 0) + bytes;
    if (left > 0) this.#bySource.set(assembly.source, left);
    else this.#bySource.delete(assembly.source);
  }

  #drop(key: string): void {
    const assembly = this.#assemblies.get(key);
    if (!assembly) return;
    this.#count(assembly, -assembly.bytes);
    this.#assemblies.delete(key);
  }

  /** One source cannot push out what others sent: its own oldest goes first. */
  #makeRoom(keep: string, source: string): void {
    for (const [key, assembly] of this.#assemblies) {
      const tooMuch = (this.#bySource.get(source) ?? 0) > DHT_ASSEMBLY_SOURCE_BYTES;
      if (!tooMuch) break;
      if (assembly.source === source && key !== keep) this.#drop(key);
    }
    for (const key of this.#assemblies.keys()) {
      if (this.#bytes <= DHT_ASSEMBLY_MAX_BYTES) break;
      if (key !== keep) this.#drop(key);
    }
  }

  #expire(): void {
    const now = this.#now();
    // Both maps are in order of age.
    for (const [key, { since }] of this.#assemblies) {
      if (now - since < DHT_ASSEMBLY_MS) break;
      this.#drop(key);
    }
    for (const [key, { since }] of this.#waiting) {
      if (now - since < DHT_WAITING_MS) break;
      this.#waiting.delete(key);
    }
  }
}

function newSignal(): Signal {
  let settle = () => {};
  const promise = new Promise<void>((resolve) => {
    settle = resolve;
  });
  return { promise, settle };
}

/** Names a letter among all of an acceptor's; also the id of its envelope. */
function keyOf(place: Place, id: Uint8Array): string {
  return `${place.topic.toString('hex', 0, 8)}-${Buffer.from(id).toString('hex')}`;
}
