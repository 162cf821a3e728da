import {
  ANSWER_MIN_GAP_MS,
  CONFIRM_FRAME_BYTES,
  CONFIRM_GAPS_MS,
  CONFIRM_REPEATS,
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
import { type Desk, past } from './dialogue.js';
import type { Path, Place } from './path.js';

const NEVER = Number.POSITIVE_INFINITY;

export interface ConfirmingOptions {
  readonly role: PunchRole;
  readonly confirmKey: Uint8Array;
  /** Has a confirm on this path nothing more to ask for? */
  readonly isSettled: (path: Path) => boolean;
}

/** What came with a datagram of CONFIRM_FRAME_BYTES. */
export type Confirmation =
  | { readonly kind: 'confirm'; readonly path: Path }
  | { readonly kind: 'ack'; readonly path: Path };

/** Confirms and their acknowledgements on any number of paths: rules 1 and 2 of docs/PROTOCOL.md, "The confirmation". */
export class Confirming {
  readonly ownKey: Buffer;
  readonly peerKey: Buffer;
  readonly #desk: Desk;
  readonly #isSettled: (path: Path) => boolean;

  constructor(desk: Desk, { role, confirmKey, isSettled }: ConfirmingOptions) {
    this.#desk = desk;
    this.#isSettled = isSettled;
    this.ownKey = directionKey(confirmKey, role);
    this.peerKey = directionKey(confirmKey, role === 'invite' ? 'accept' : 'invite');
  }

  /** The confirm for a silent place, as an opener. */
  greeting(path: Path, now: number): Buffer {
    path.nonce ??= this.#desk.random(CONFIRM_NONCE_BYTES);
    path.greetings += 1;
    path.greetedAt = now;
    return encodeConfirm(this.ownKey, path.nonce);
  }

  /** A legacy frame arrived: the peer is there. */
  heard(path: Path, now: number): void {
    path.repeats = 0;
    this.ask(path, now);
  }

  /** Sends our confirm, if it has something to ask for and keeps its distance. */
  ask(path: Path, now: number): void {
    if (this.#isSettled(path) || !past(path.lastSent, minGap(path), now)) return;
    path.nonce ??= this.#desk.random(CONFIRM_NONCE_BYTES);
    // Also when the budget refuses: the next try keeps its distance.
    path.lastSent = now;
    if (this.#desk.sendBytes(path, encodeConfirm(this.ownKey, path.nonce))) path.confirmsSent += 1;
  }

  /** Repeats what is due. */
  tick(now: number): void {
    for (const path of this.#desk.paths) {
      if (now < this.#askAt(path)) continue;
      path.repeats += 1;
      this.ask(path, now);
    }
  }

  /** When {@link tick} has something to repeat; infinity if never. */
  next(): number {
    let at = NEVER;
    for (const path of this.#desk.paths) at = Math.min(at, this.#askAt(path));
    return at;
  }

  /** Reads and books a confirm, which is acknowledged, or an acknowledgement of ours; undefined for anything else. */
  read(from: Place, data: Uint8Array, now: number): Confirmation | undefined {
    const nonce = decodeConfirm(this.peerKey, data);
    const path = nonce ? this.#desk.path(from) : this.#desk.known(from);
    if (!path) return undefined;
    if (!nonce) {
      if (!path.nonce || !isConfirmAck(this.peerKey, data, path.nonce)) return undefined;
      this.#desk.credit(path, CONFIRM_FRAME_BYTES);
      path.lastHeard = now;
      path.acknowledged(now);
      return { kind: 'ack', path };
    }
    this.#desk.credit(path, CONFIRM_FRAME_BYTES);
    path.lastHeard = now;
    path.lastAsked = now;
    path.peerNonces = [nonce, ...path.peerNonces.filter((one) => !one.equals(nonce))].slice(0, 2);
    this.acknowledge(path, nonce, now);
    return { kind: 'confirm', path };
  }

  acknowledge(path: Path, nonce: Buffer, now: number): void {
    const ack = encodeConfirmAck(this.ownKey, this.#desk.random(CONFIRM_NONCE_BYTES), nonce);
    if (this.#desk.sendBytes(path, ack)) path.firstAnswered ??= now;
  }

  #askAt(path: Path): number {
    if (path.lastSent === undefined || this.#isSettled(path)) return NEVER;
    if (!path.authentic && path.repeats >= CONFIRM_REPEATS) return NEVER;
    return path.lastSent + Math.max(gapAfter(path.repeats), minGap(path));
  }
}

/** How long after the frame with that number (from 0) the next one follows. */
export function gapAfter(sent: number): number {
  return CONFIRM_GAPS_MS[Math.min(sent, CONFIRM_GAPS_MS.length - 1)] ?? 0;
}

/** Two NATs that move with each answer make paths without end; none of them is pursued at full pace for long. */
function minGap(path: Path): number {
  return path.confirmsSent < CONFIRM_REPEATS ? ANSWER_MIN_GAP_MS : PLEXUS_SLOT_MS;
}
