import {
  CONFIRM_FRAME_BYTES,
  CONFIRM_SILENCE_MS,
  CONFIRM_TRUST_MS,
  HANDSHAKE_FRAME_BYTES,
  LINGER_ASKED_MS,
  LINGER_MAX_MS,
  LINGER_MS,
  LINGER_SENDS_MS,
} from '../constants.js';
import type { PunchRole } from '../wire/confirm.js';
import type { HandshakeFlag } from '../wire/handshake.js';
import { Confirming } from './confirming.js';
import type { Desk, Dialogue, ProvenBy } from './dialogue.js';
import type { Path, Place } from './path.js';

const NEVER = Number.POSITIVE_INFINITY;

/**
 * The rules between awl peers (docs/PROTOCOL.md, "The confirmation"): a legacy frame only says where the peer may be;
 * there both sides send confirm until it is acknowledged. A path is proven when our confirm was acknowledged on it and
 * the peer's confirm arrived on it: both directions work, and the peer holds the key.
 */
export class ConfirmDialogue implements Dialogue {
  readonly #desk: Desk;
  readonly #confirming: Confirming;
  #proven: { readonly path: Path; readonly at: number; sent: number } | undefined;

  constructor(desk: Desk, role: PunchRole, confirmKey: Uint8Array) {
    this.#desk = desk;
    const isSettled = (path: Path) => path.acknowledgedAt !== undefined;
    this.#confirming = new Confirming(desk, { role, confirmKey, isSettled });
  }

  greeting(): undefined {
    return undefined;
  }

  frame(path: Path, _flag: HandshakeFlag, now: number): void {
    if (!this.#proven) this.#confirming.heard(path, now);
  }

  other(from: Place, data: Uint8Array, now: number): boolean {
    if (data.length === CONFIRM_FRAME_BYTES) return this.#sealed(from, data, now);
    if (data.length === HANDSHAKE_FRAME_BYTES) return false;
    const path = this.#desk.known(from);
    if (!path?.conclusive) return false;
    if (!this.#proven) this.#prove(path, 'traffic', now);
    return true;
  }

  tick(now: number): void {
    if (this.#proven) {
      this.#linger(now);
      return;
    }
    this.#confirming.tick(now);
    const quiet = this.#find((path) => now >= this.#silenceAt(path));
    if (quiet) this.#prove(quiet, 'silence', now);
  }

  next(): number {
    const proven = this.#proven;
    if (proven) {
      const send = LINGER_SENDS_MS[proven.sent];
      return Math.min(send === undefined ? NEVER : proven.at + send, this.#lingerEnd(proven));
    }
    let at = this.#confirming.next();
    for (const path of this.#desk.paths) at = Math.min(at, this.#silenceAt(path));
    return at;
  }

  #sealed(from: Place, data: Uint8Array, now: number): boolean {
    const came = this.#confirming.read(from, data, now);
    if (!came) return false;
    if (this.#proven) return true;
    const { path } = came;
    if (path.proven) this.#prove(path, 'answer', now);
    else if (came.kind === 'confirm') this.#confirming.ask(path, now);
    return true;
  }

  #prove(path: Path, by: ProvenBy, now: number): void {
    this.#proven = { path, at: now, sent: 0 };
    this.#desk.prove(path, by, now);
    // Traffic and silence say that the peer is through already: nobody to linger for.
    if (by !== 'answer') this.#desk.settle();
  }

  #linger(now: number): void {
    const proven = this.#proven;
    if (!proven) return;
    while (now >= proven.at + (LINGER_SENDS_MS[proven.sent] ?? NEVER)) {
      for (const nonce of proven.path.peerNonces) this.#confirming.acknowledge(proven.path, nonce, now);
      proven.sent += 1;
    }
    if (now >= this.#lingerEnd(proven)) this.#desk.settle();
  }

  /**
   * A peer that still asks has not heard the acknowledgement: it keeps the socket here for another question. One at a
   * port of its own choice gets the time for one question in any case, for it may see us at two ports as well.
   */
  #lingerEnd({ path, at }: { readonly path: Path; readonly at: number }): number {
    const asked = path.lastAsked ?? at;
    if (asked > at) return Math.min(asked + LINGER_ASKED_MS, at + LINGER_MAX_MS);
    return at + (path.announced ? LINGER_MS : LINGER_ASKED_MS);
  }

  #silenceAt(path: Path): number {
    const { firstAnswered, acknowledgedAt, lastHeard } = path;
    const since = acknowledgedAt ?? firstAnswered;
    if (!path.conclusive || since === undefined || lastHeard === undefined) return NEVER;
    if (lastHeard - since > CONFIRM_TRUST_MS) return NEVER;
    return lastHeard + CONFIRM_SILENCE_MS;
  }

  #find(fits: (path: Path) => boolean): Path | undefined {
    for (const path of this.#desk.paths) if (fits(path)) return path;
    return undefined;
  }
}
