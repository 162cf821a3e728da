import {
  AMPLIFICATION_FACTOR,
  CONFIRM_FRAME_BYTES,
  HANDSHAKE_FRAME_BYTES,
  SILENT_MAX_BYTES,
  SILENT_MAX_DATAGRAMS,
  STRAY_ANSWER_BURST,
  STRAY_ANSWERS_PER_S,
  STRAY_MAX_BYTES,
} from '../constants.js';
import { GREETINGS_MAX, WIDE_MAX_DATAGRAMS } from './limits.js';

/** Tokens that come back with time; starts full. */
class Bucket {
  #tokens = STRAY_ANSWER_BURST;
  #at = Number.NEGATIVE_INFINITY;

  take(now: number): boolean {
    const back = ((now - this.#at) / 1000) * STRAY_ANSWERS_PER_S;
    this.#tokens = Math.min(STRAY_ANSWER_BURST, this.#tokens + back);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}

interface Ledger {
  openers: number;
  greetings: number;
  wide: number;
  answerBytes: number;
  validBytes: number;
}

function emptyLedger(): Ledger {
  return { openers: 0, greetings: 0, wide: 0, answerBytes: 0, validBytes: 0 };
}

/** Addresses that sent something valid; a flood of forged ones must not grow the table. */
const MAX_ADDRESSES = 1024;
/** Openers keep their own share, so that answers drawn by forgers cannot use it up. */
const OPENER_BYTES =
  (SILENT_MAX_DATAGRAMS - GREETINGS_MAX) * HANDSHAKE_FRAME_BYTES + GREETINGS_MAX * CONFIRM_FRAME_BYTES;

/**
 * How much may go to which address (RELIABILITY section 4). Until an announced address has sent something valid it
 * gets at most SILENT_MAX_DATAGRAMS openers, and WIDE_MAX_DATAGRAMS more in a birthday that its owner asked for; after
 * that, bytes out stay within SILENT_MAX_BYTES plus AMPLIFICATION_FACTOR times the valid bytes in. Any other address
 * gets nothing before it has sent something valid.
 */
export class Budget {
  readonly #announced: ReadonlySet<string>;
  readonly #ledgers = new Map<string, Ledger>();
  readonly #near = new Bucket();
  readonly #far = new Bucket();

  constructor(announced: Iterable<string>) {
    this.#announced = new Set(announced);
    for (const address of this.#announced) this.#ledgers.set(address, emptyLedger());
  }

  /** Books `bytes` that arrived and were valid. */
  credit(address: string, bytes: number): void {
    const ledger = this.#ledgers.get(address);
    if (ledger) ledger.validBytes += bytes;
    else if (this.#ledgers.size < MAX_ADDRESSES) {
      this.#ledgers.set(address, { ...emptyLedger(), validBytes: bytes });
    }
  }

  /** May one more opener go to an announced address? Books it if so. */
  admitOpener(address: string, wide = false): boolean {
    const ledger = this.#announced.has(address) ? this.#ledgers.get(address) : undefined;
    if (!ledger) return false;
    if (wide ? ledger.wide >= WIDE_MAX_DATAGRAMS : ledger.openers >= SILENT_MAX_DATAGRAMS) return false;
    if (wide) ledger.wide += 1;
    else ledger.openers += 1;
    return true;
  }

  /** May the opener that was just admitted be a whole confirm? Books it if so. */
  admitGreeting(address: string): boolean {
    const ledger = this.#ledgers.get(address);
    if (!ledger || ledger.greetings >= GREETINGS_MAX) return false;
    ledger.greetings += 1;
    return true;
  }

  /**
   * May `bytes` go to `address` in answer to what came from there? Books them if so. A `stray` endpoint, neither
   * announced nor authentic, also needs its share of a steady rate: two NATs that move with each answer, or a flood
   * of forged frames, would otherwise draw answers without end.
   */
  admitAnswer(address: string, bytes: number, stray: boolean, now: number): boolean {
    const near = this.#announced.has(address);
    const bucket = near ? this.#near : this.#far;
    if (stray && !bucket.take(now)) return false;
    const ledger = this.#ledgers.get(address);
    if (!ledger || ledger.validBytes === 0) return false;
    const allowance = near ? SILENT_MAX_BYTES - OPENER_BYTES : STRAY_MAX_BYTES;
    if (ledger.answerBytes + bytes > allowance + AMPLIFICATION_FACTOR * ledger.validBytes) return false;
    ledger.answerBytes += bytes;
    return true;
  }
}
