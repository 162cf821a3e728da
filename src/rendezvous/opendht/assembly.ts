import {
  OPENDHT_ASSEMBLIES_MAX,
  OPENDHT_ASSEMBLY_IDLE_MS,
  OPENDHT_ASSEMBLY_MAX_BYTES,
  OPENDHT_ASSEMBLY_MS,
  OPENDHT_LETTER_MAX_BYTES,
} from '../../constants.js';
import { type Endpoint, formatEndpoint } from '../../util/endpoint.js';
import type { Fragment } from '../../wire/opendht-rpc.js';

/** Fragments that overtook their message are kept, but not many. */
const EARLY_MAX = 8;
/** Fragments of one value; upstream makes 13 of the largest that we collect. */
const PIECES_MAX = 64;

interface Piece {
  readonly bytes: Buffer;
  /** Start to end of what has arrived. */
  readonly have: Map<number, number>;
  complete: boolean;
}

interface Assembly {
  readonly since: number;
  touched: number;
  /** By index; what is not wanted has no entry. Undefined until the message itself has come. */
  pieces: Map<number, Piece> | undefined;
  early: Fragment[];
  bytes: number;
}

export interface Assembled {
  /** Values that became complete just now. */
  readonly values: readonly Buffer[];
  /** True if the message has come and nothing that is wanted of it is missing. */
  readonly done: boolean;
}

/** What tells one message in fragments from others: who sends it, and its transaction id. */
export function assemblyKey(from: Endpoint, tid: number): string {
  return `${formatEndpoint(from)} ${tid}`;
}

const NOTHING: Assembled = { values: [], done: false };

/**
 * Puts values together that come in fragments behind their message (spec opendht 5). Pure but for its memory, which
 * is bounded: values too large to be letters are not collected, the oldest messages give way, and everything is
 * dropped after a few seconds.
 */
export class Assembler {
  /** By source and transaction id. */
  readonly #open = new Map<string, Assembly>();
  #bytes = 0;

  get size(): number {
    return this.#open.size;
  }

  /** The message with the sizes of its values. Sent again it changes nothing. */
  announce(key: string, sizes: readonly number[], now: number): Assembled {
    const assembly = this.#at(key, now);
    if (!assembly.pieces) {
      assembly.pieces = new Map();
      for (const [index, size] of sizes.entries()) {
        if (size === 0 || size > OPENDHT_LETTER_MAX_BYTES) continue;
        if (this.#bytes + size > OPENDHT_ASSEMBLY_MAX_BYTES) break;
        assembly.pieces.set(index, { bytes: Buffer.alloc(size), have: new Map(), complete: false });
        assembly.bytes += size;
        this.#bytes += size;
      }
    }
    const early = assembly.early;
    assembly.early = [];
    return this.#fill(key, assembly, early);
  }

  add(key: string, fragments: readonly Fragment[], now: number): Assembled {
    const assembly = this.#at(key, now);
    if (assembly.pieces) return this.#fill(key, assembly, fragments);
    assembly.early.push(...fragments.slice(0, EARLY_MAX - assembly.early.length));
    return NOTHING;
  }

  /** Nothing more is wanted under this key. */
  drop(key: string): void {
    this.#bytes -= this.#open.get(key)?.bytes ?? 0;
    this.#open.delete(key);
  }

  #at(key: string, now: number): Assembly {
    for (const [other, { since, touched }] of this.#open) {
      if (now - touched > OPENDHT_ASSEMBLY_IDLE_MS || now - since > OPENDHT_ASSEMBLY_MS) this.drop(other);
    }
    let assembly = this.#open.get(key);
    if (!assembly) {
      const [oldest] = this.#open.keys();
      if (this.#open.size >= OPENDHT_ASSEMBLIES_MAX && oldest !== undefined) this.drop(oldest);
      assembly = { since: now, touched: now, pieces: undefined, early: [], bytes: 0 };
      this.#open.set(key, assembly);
    }
    assembly.touched = now;
    return assembly;
  }

  #fill(key: string, assembly: Assembly, fragments: readonly Fragment[]): Assembled {
    const values: Buffer[] = [];
    for (const { index, offset, data } of fragments) {
      const piece = assembly.pieces?.get(index);
      if (!piece || piece.complete || offset + data.length > piece.bytes.length) continue;
      // The first fragment of a place counts: a repetition brings the same, and nobody gets to change it later.
      if (piece.have.has(offset) || data.length === 0 || piece.have.size >= PIECES_MAX) continue;
      data.copy(piece.bytes, offset);
      piece.have.set(offset, offset + data.length);
      if (!isWhole(piece)) continue;
      piece.complete = true;
      values.push(piece.bytes);
    }
    const done = [...(assembly.pieces?.values() ?? [])].every(({ complete }) => complete);
    if (done) this.drop(key);
    return { values, done };
  }
}

/** From the start each fragment must lead to the next, up to the end. */
function isWhole({ bytes, have }: Piece): boolean {
  let at = 0;
  while (at < bytes.length) {
    const end = have.get(at);
    if (end === undefined) return false;
    at = end;
  }
  return true;
}
