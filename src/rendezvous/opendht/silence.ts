import { OPENDHT_SILENT_MAX, OPENDHT_SILENT_WINDOW_MS } from '../../constants.js';
import { scopeOf } from './scope.js';

const ADDRESSES_MAX = 1024;

/**
 * Datagrams sent to public addresses that have not answered: whoever is named to us as a node but is none gets a few
 * of them a minute and no more, however many nodes name it.
 */
export class SilenceBudget {
  readonly #sent = new Map<string, { count: number; since: number }>();

  /** True if one more datagram may go to `address`; counts it. */
  spend(address: string, now: number): boolean {
    if (scopeOf(address) !== 'public') return true;
    let entry = this.#sent.get(address);
    if (!entry || now - entry.since > OPENDHT_SILENT_WINDOW_MS) {
      entry = { count: 0, since: now };
      this.#sent.delete(address);
      this.#sent.set(address, entry);
    }
    if (entry.count >= OPENDHT_SILENT_MAX) return false;
    entry.count++;
    for (const oldest of this.#sent.keys()) {
      if (this.#sent.size <= ADDRESSES_MAX) break;
      this.#sent.delete(oldest);
    }
    return true;
  }

  answered(address: string): void {
    this.#sent.delete(address);
  }
}
