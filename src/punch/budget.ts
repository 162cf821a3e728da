import {
  AMPLIFICATION_FACTOR,
  HANDSHAKE_FRAME_BYTES,
  SILENT_MAX_BYTES,
  SILENT_MAX_DATAGRAMS,
  STRAY_MAX_BYTES,
} from '../constants.js';

interface Ledger {
  openers: number;
  answerBytes: number;
  validBytes: number;
}

/** Addresses that sent something valid; a flood of forged ones must not grow the table. */
const MAX_ADDRESSES = 1024;
/** Openers keep their own share, so that answers drawn by forgers cannot use it up. */
const OPENER_BYTES = SILENT_MAX_DATAGRAMS * HANDSHAKE_FRAME_BYTES;

/**
 * How much may go to which address (RELIABILITY section 4). Until the announced address has sent something valid it
 * gets at most SILENT_MAX_DATAGRAMS openers; after that, bytes out stay within SILENT_MAX_BYTES plus
 * AMPLIFICATION_FACTOR times the valid bytes in. Any other address gets nothing before it has sent something valid.
 */
export class Budget {
  readonly #announced: string;
  readonly #ledgers = new Map<string, Ledger>();

  constructor(announcedAddress: string) {
    this.#announced = announcedAddress;
    this.#ledgers.set(announcedAddress, { openers: 0, answerBytes: 0, validBytes: 0 });
  }

  /** Books `bytes` that arrived and were valid. */
  credit(address: string, bytes: number): void {
    const ledger = this.#ledgers.get(address);
    if (ledger) ledger.validBytes += bytes;
    else if (this.#ledgers.size < MAX_ADDRESSES) {
      this.#ledgers.set(address, { openers: 0, answerBytes: 0, validBytes: bytes });
    }
  }

  /** May one more opener go to the announced address? Books it if so. */
  admitOpener(): boolean {
    const ledger = this.#ledgers.get(this.#announced);
    if (!ledger || ledger.openers >= SILENT_MAX_DATAGRAMS) return false;
    ledger.openers += 1;
    return true;
  }

  /** May `bytes` go to `address` in answer to what came from there? Books them if so. */
  admitAnswer(address: string, bytes: number): boolean {
    const ledger = this.#ledgers.get(address);
    if (!ledger || ledger.validBytes === 0) return false;
    const allowance = address === this.#announced ? SILENT_MAX_BYTES - OPENER_BYTES : STRAY_MAX_BYTES;
    if (ledger.answerBytes + bytes > allowance + AMPLIFICATION_FACTOR * ledger.validBytes) return false;
    ledger.answerBytes += bytes;
    return true;
  }
}
