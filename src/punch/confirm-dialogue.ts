import {
  ANSWER_MIN_GAP_MS,
  CONFIRM_FRAME_BYTES,
  CONFIRM_GAPS_MS,
  CONFIRM_REPEATS,
  CONFIRM_SILENCE_MS,
  CONFIRM_TRUST_MS,
  HANDSHAKE_FRAME_BYTES,
  LINGER_ASKED_MS,
  LINGER_MAX_MS,
  LINGER_MS,
  LINGER_SENDS_MS,
  PLEXUS_SLOT_MS,
} from '../constants.js';
import {
  CONFIRM_NONCE_BYTES,
  decodeConfirm,
  directionKey,
  encodeConfirm,
  encodeConfirmAck,
  isConfirmAck,
  type PunchRole,
} from '../wire/confirm.js';
import type { HandshakeFlag } from '../wire/handshake.js';
import { type Desk, type Dialogue, type ProvenBy, past } from './dialogue.js';
import type { Path, Place } from './path.js';

const NEVER = Number.POSITIVE_INFINITY;

/**
 * The rules between awl peers (docs/PROTOCOL.md, "The confirmation"): a legacy frame only says where the peer may be;
 * there both sides send confirm until it is acknowledged. A path is proven when our confirm was acknowledged on it and
 * the peer's confirm arrived on it: both directions work, and the peer holds the key.
 */
export class ConfirmDialogue implements Dialogue {
  readonly #desk: Desk;
  readonly #ownKey: Buffer;
  readonly #peerKey: Buffer;
  #proven: { readonly path: Path; readonly at: number; sent: number } | undefined;

  constructor(desk: Desk, role: PunchRole, confirmKey: Uint8Array) {
    this.#desk = desk;
    this.#ownKey = directionKey(confirmKey, role);
    this.#peerKey = directionKey(confirmKey, role === 'invite' ? 'accept' : 'invite');
  }

  frame(path: Path, _flag: HandshakeFlag, now: number): void {
    if (this.#proven) return;
    path.repeats = 0;
    this.#confirm(path, now);
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
    for (const path of this.#desk.paths) {
      if (now < this.#confirmAt(path)) continue;
      path.repeats += 1;
      this.#confirm(path, now);
    }
    const quiet = this.#find((path) => now >= this.#silenceAt(path));
    if (quiet) this.#prove(quiet, 'silence', now);
  }

  next(): number {
    const proven = this.#proven;
    if (proven) {
      const send = LINGER_SENDS_MS[proven.sent];
      return Math.min(send === undefined ? NEVER : proven.at + send, this.#lingerEnd(proven));
    }
    let at = NEVER;
    for (const path of this.#desk.paths) at = Math.min(at, this.#confirmAt(path), this.#silenceAt(path));
    return at;
  }

  #sealed(from: Place, data: Uint8Array, now: number): boolean {
    const nonce = decodeConfirm(this.#peerKey, data);
    if (nonce) {
      const path = this.#desk.path(from);
      if (path) this.#confirmed(path, nonce, now);
      return path !== undefined;
    }
    const path = this.#desk.known(from);
    if (!path?.nonce || !isConfirmAck(this.#peerKey, data, path.nonce)) return false;
    this.#desk.credit(path, data.length);
    path.lastHeard = now;
    path.acknowledged(now);
    if (path.peerNonces.length > 0 && !this.#proven) this.#prove(path, 'answer', now);
    return true;
  }

  #confirmed(path: Path, nonce: Buffer, now: number): void {
    this.#desk.credit(path, CONFIRM_FRAME_BYTES);
    path.lastHeard = now;
    path.lastAsked = now;
    path.peerNonces = [nonce, ...path.peerNonces.filter((one) => !one.equals(nonce))].slice(0, 2);
    this.#acknowledge(path, nonce, now);
    if (this.#proven) return;
    if (path.acknowledgedAt !== undefined) this.#prove(path, 'answer', now);
    else this.#confirm(path, now);
  }

  #acknowledge(path: Path, nonce: Buffer, now: number): void {
    const ack = encodeConfirmAck(this.#ownKey, this.#desk.random(CONFIRM_NONCE_BYTES), nonce);
    if (this.#desk.sendBytes(path, ack)) path.firstAnswered ??= now;
  }

  #confirm(path: Path, now: number): void {
    if (path.acknowledgedAt !== undefined || !past(path.lastSent, this.#minGap(path), now)) return;
    path.nonce ??= this.#desk.random(CONFIRM_NONCE_BYTES);
    // Also when the budget refuses: the next try keeps its distance.
    path.lastSent = now;
    if (this.#desk.sendBytes(path, encodeConfirm(this.#ownKey, path.nonce))) path.confirmsSent += 1;
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
      for (const nonce of proven.path.peerNonces) this.#acknowledge(proven.path, nonce, now);
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

  #confirmAt(path: Path): number {
    if (path.lastSent === undefined || path.acknowledgedAt !== undefined) return NEVER;
    if (!path.authentic && path.repeats >= CONFIRM_REPEATS) return NEVER;
    const gap = CONFIRM_GAPS_MS[Math.min(path.repeats, CONFIRM_GAPS_MS.length - 1)] ?? 0;
    return path.lastSent + Math.max(gap, this.#minGap(path));
  }

  /** Two NATs that move with each answer make paths without end; none of them is pursued at full pace for long. */
  #minGap(path: Path): number {
    return path.confirmsSent < CONFIRM_REPEATS ? ANSWER_MIN_GAP_MS : PLEXUS_SLOT_MS;
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
