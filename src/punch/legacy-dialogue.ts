import {
  ANSWER_MIN_GAP_MS,
  ANSWER_REPEATS_MS,
  HANDSHAKE_FRAME_BYTES,
  LEGACY_SILENCE_MS,
  LINGER_SENDS_MS,
  SILENCE_TRUST_MS,
} from '../constants.js';
import type { HandshakeFlag } from '../wire/handshake.js';
import { type Desk, type Dialogue, past } from './dialogue.js';
import type { Path, Place } from './path.js';

const NEVER = Number.POSITIVE_INFINITY;

/**
 * May a frame from this path decide? The announced endpoint was signed by the peer. Elsewhere one random datagram in
 * 256 looks valid, so two different ones are asked for; or two answers where we probed, for a plexus acceptor has but one
 * that it repeats. And while our own NAT moves, frames from a port that moved too
 * say nothing: each direction may be using another pair of ports, and no legacy frame names the one it answers.
 */
function isTrusted(path: Path, moving: boolean): boolean {
  if (path.announced || moving) return path.announced;
  return path.distinctFrames >= 2 || (path.rung === 'predicted' && path.frames >= 2);
}

/**
 * The inviter's side of spec f. It answers flag 0 with flag 0, as plexus does: a 3.1.4 acceptor that got a flag 1 out
 * of turn would be done and never answer. Only after the acceptor's flag 1 it sends its own, a few times, because
 * the acceptor takes the first payload datagram for a broken frame if all of them are lost (spec i.4).
 */
export class LegacyInviter implements Dialogue {
  readonly #desk: Desk;
  readonly #moving: boolean;
  #proven: { readonly path: Path; readonly at: number; sent: number } | undefined;

  constructor(desk: Desk, moving: boolean) {
    this.#desk = desk;
    this.#moving = moving;
  }

  frame(path: Path, flag: HandshakeFlag, now: number): void {
    if (this.#proven) return;
    if (flag === 1 && isTrusted(path, this.#moving)) {
      this.#desk.prove(path, 'answer', now);
      this.#desk.sendFlag(path, 1);
      this.#proven = { path, at: now, sent: 0 };
    } else if (past(path.lastAnswered, ANSWER_MIN_GAP_MS, now)) {
      path.lastAnswered = now;
      this.#desk.sendFlag(path, 0);
    }
  }

  other(): boolean {
    return false;
  }

  greeting(): undefined {
    return undefined;
  }

  tick(now: number): void {
    const proven = this.#proven;
    if (!proven) return;
    while (now >= proven.at + (LINGER_SENDS_MS[proven.sent] ?? NEVER)) {
      this.#desk.sendFlag(proven.path, 1);
      proven.sent += 1;
    }
    if (proven.sent >= LINGER_SENDS_MS.length) this.#desk.settle();
  }

  next(): number {
    const proven = this.#proven;
    return proven ? proven.at + (LINGER_SENDS_MS[proven.sent] ?? 0) : NEVER;
  }
}

/**
 * The acceptor's side of spec f: flag 0 is answered with flag 1, flag 1 ends it. The inviter's flag 1 is never
 * repeated by plexus, so its loss is recovered from what follows: payload traffic, or no further question.
 */
export class LegacyAcceptor implements Dialogue {
  readonly #desk: Desk;
  readonly #moving: boolean;

  constructor(desk: Desk, moving: boolean) {
    this.#desk = desk;
    this.#moving = moving;
  }

  frame(path: Path, flag: HandshakeFlag, now: number): void {
    if (flag === 1 && isTrusted(path, this.#moving)) {
      this.#desk.prove(path, 'answer', now);
      this.#desk.settle();
      return;
    }
    if (flag === 1 || !past(path.lastAnswered, ANSWER_MIN_GAP_MS, now)) return;
    path.repeats = 0;
    this.#answer(path, now);
  }

  other(from: Place, data: Uint8Array, now: number): boolean {
    // A datagram of frame size that is no frame is a broken or forged frame, not traffic.
    if (data.length === HANDSHAKE_FRAME_BYTES) return false;
    const path = this.#desk.known(from);
    if (!path || path.firstAnswered === undefined || !isTrusted(path, this.#moving)) return false;
    this.#desk.prove(path, 'traffic', now);
    this.#desk.settle();
    return true;
  }

  greeting(): undefined {
    return undefined;
  }

  tick(now: number): void {
    for (const path of this.#desk.paths) {
      const due = this.#repeatAt(path);
      if (now >= due) {
        path.repeats += 1;
        this.#answer(path, now);
      }
    }
    const quiet = this.#find((path) => now >= this.#silenceAt(path));
    if (!quiet) return;
    this.#desk.prove(quiet, 'silence', now);
    this.#desk.settle();
  }

  next(): number {
    let at = NEVER;
    for (const path of this.#desk.paths) at = Math.min(at, this.#repeatAt(path), this.#silenceAt(path));
    return at;
  }

  #answer(path: Path, now: number): void {
    path.lastAnswered = now;
    if (this.#desk.sendFlag(path, 1)) path.firstAnswered ??= now;
  }

  #find(fits: (path: Path) => boolean): Path | undefined {
    for (const path of this.#desk.paths) if (fits(path)) return path;
    return undefined;
  }

  #repeatAt(path: Path): number {
    const gap = ANSWER_REPEATS_MS[path.repeats];
    if (path.lastAnswered === undefined || gap === undefined) return NEVER;
    return path.lastAnswered + gap;
  }

  #silenceAt(path: Path): number {
    const { firstAnswered, lastHeard } = path;
    // Our answers come from a port that the peer may never have let in: then its silence has another reason.
    if (this.#moving || !isTrusted(path, false)) return NEVER;
    if (firstAnswered === undefined || lastHeard === undefined) return NEVER;
    if (lastHeard - firstAnswered > SILENCE_TRUST_MS) return NEVER;
    return Math.max(lastHeard, firstAnswered) + LEGACY_SILENCE_MS;
  }
}
