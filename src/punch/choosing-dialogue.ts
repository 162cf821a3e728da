import {
  ANSWER_MIN_GAP_MS,
  CONFIRM_FRAME_BYTES,
  CONFIRM_GAPS_MS,
  CONFIRM_REPEATS,
  HANDSHAKE_FRAME_BYTES,
  LINGER_ASKED_MS,
  LINGER_MAX_MS,
  LINGER_SENDS_MS,
  PLEXUS_SLOT_MS,
} from '../constants.js';
import {
  CONFIRM_NONCE_BYTES,
  decodeChoice,
  decodeConfirm,
  directionKey,
  encodeChoice,
  encodeChoiceAck,
  encodeConfirm,
  encodeConfirmAck,
  isChoiceAck,
  isConfirmAck,
  type PunchRole,
} from '../wire/confirm.js';
import type { HandshakeFlag } from '../wire/handshake.js';
import { type Desk, type Dialogue, type ProvenBy, past } from './dialogue.js';
import { CHOICE_SILENCE_MS, PREFER_MS, PREFER_UNHEARD_MS } from './limits.js';
import type { Path, Place } from './path.js';
import { RUNGS, type Rung, rankOf } from './plan.js';

const NEVER = Number.POSITIVE_INFINITY;

export interface ChoosingOptions {
  readonly role: PunchRole;
  readonly confirmKey: Uint8Array;
  /** The rungs of the plan: something better may still come. */
  readonly rungs: ReadonlySet<Rung>;
}

/** A path that became the passage, or is to become it. */
interface Choice {
  readonly path: Path;
  readonly at: number;
  /** The inviter's: carried by all its copies. */
  readonly nonce: Buffer;
  sent: number;
  sentAt: number;
  lastAsked: number;
}

/**
 * The rules between awl peers that try several paths at once (docs/PROTOCOL.md, "The choice"). Paths are proven as by the
 * confirmation; then the inviter names one of them, and that one is the passage for both. Without its word the
 * acceptor settles on none: two sides that each took what they proved first might hold different ends.
 */
export class ChoosingDialogue implements Dialogue {
  readonly #desk: Desk;
  readonly #o: ChoosingOptions;
  readonly #ownKey: Buffer;
  readonly #peerKey: Buffer;
  #workingSince: number | undefined;
  #choice: Choice | undefined;

  constructor(desk: Desk, options: ChoosingOptions) {
    this.#desk = desk;
    this.#o = options;
    this.#ownKey = directionKey(options.confirmKey, options.role);
    this.#peerKey = directionKey(options.confirmKey, options.role === 'invite' ? 'accept' : 'invite');
  }

  frame(path: Path, _flag: HandshakeFlag, now: number): void {
    if (this.#choice) return;
    path.repeats = 0;
    this.#confirm(path, now);
  }

  other(from: Place, data: Uint8Array, now: number): boolean {
    if (data.length === CONFIRM_FRAME_BYTES) return this.#sealed(from, data, now);
    if (data.length === HANDSHAKE_FRAME_BYTES) return false;
    const path = this.#desk.known(from);
    if (!path?.proven) return false;
    // Whoever sends its payload's traffic has made or learnt the choice.
    if (this.#choice && this.#choice.path !== path) return false;
    if (!this.#choice && this.#chooses) return false;
    this.#finish(path, 'traffic', now);
    return true;
  }

  tick(now: number): void {
    if (this.#choice) {
      if (this.#chooses) this.#repeatChoice(this.#choice, now);
      else this.#linger(this.#choice, now);
      return;
    }
    const best = this.#best();
    if (best && this.#chooses && now >= this.#chooseAt(best)) {
      this.#choose(best, now);
      return;
    }
    for (const path of this.#desk.paths) {
      if (now < this.#confirmAt(path)) continue;
      path.repeats += 1;
      this.#confirm(path, now);
    }
  }

  next(): number {
    const choice = this.#choice;
    if (choice) return this.#chooses ? this.#choiceDue(choice) : this.#lingerDue(choice);
    const best = this.#chooses ? this.#best() : undefined;
    let at = best ? this.#chooseAt(best) : NEVER;
    for (const path of this.#desk.paths) at = Math.min(at, this.#confirmAt(path));
    return at;
  }

  get #chooses(): boolean {
    return this.#o.role === 'invite';
  }

  #sealed(from: Place, data: Uint8Array, now: number): boolean {
    const nonce = decodeConfirm(this.#peerKey, data);
    if (nonce) {
      const path = this.#desk.path(from);
      if (path) this.#confirmed(path, nonce, now);
      return path !== undefined;
    }
    const path = this.#desk.known(from);
    if (!path) return false;
    if (this.#choiceAnswered(path, data, now)) return true;
    if (!path.nonce) return false;
    if (isConfirmAck(this.#peerKey, data, path.nonce)) {
      this.#desk.credit(path, data.length);
      path.lastHeard = now;
      path.acknowledged(now);
      this.#noteWorking(path, now);
      return true;
    }
    const choice = this.#chooses ? undefined : decodeChoice(this.#peerKey, data, path.nonce);
    if (choice) this.#chosen(path, choice, now);
    return choice !== undefined;
  }

  #confirmed(path: Path, nonce: Buffer, now: number): void {
    this.#desk.credit(path, CONFIRM_FRAME_BYTES);
    path.lastHeard = now;
    path.peerNonces = [nonce, ...path.peerNonces.filter((one) => !one.equals(nonce))].slice(0, 2);
    this.#desk.sendBytes(path, encodeConfirmAck(this.#ownKey, this.#desk.random(CONFIRM_NONCE_BYTES), nonce));
    const choice = this.#choice;
    if (choice) {
      if (choice.path !== path) return;
      choice.lastAsked = now;
      if (this.#chooses && past(choice.sentAt, ANSWER_MIN_GAP_MS, now)) this.#sendChoice(choice, now);
      return;
    }
    this.#noteWorking(path, now);
    if (!path.proven) this.#confirm(path, now);
  }

  #noteWorking(path: Path, now: number): void {
    if (!path.proven || this.#workingSince !== undefined) return;
    this.#workingSince = now;
    this.#desk.works(now);
    if (this.#chooses && now >= this.#chooseAt(path)) this.#choose(path, now);
  }

  #best(): Path | undefined {
    let best: Path | undefined;
    for (const path of this.#desk.paths) {
      if (path.proven && (!best || rankOf(path.rung) < rankOf(best.rung))) best = path;
    }
    return best;
  }

  /** At once if the plan has nothing better; else a little later, and later still if a better path was heard of. */
  #chooseAt(best: Path): number {
    const since = this.#workingSince ?? 0;
    const rank = rankOf(best.rung);
    if (!RUNGS.some((rung, index) => index < rank && index < REFLEXIVE && this.#o.rungs.has(rung)))
      return since;
    for (const path of this.#desk.paths) {
      if (rankOf(path.rung) < rank && path.lastHeard !== undefined) return since + PREFER_MS;
    }
    return since + PREFER_UNHEARD_MS;
  }

  #choose(path: Path, now: number): void {
    const nonce = this.#desk.random(CONFIRM_NONCE_BYTES);
    this.#choice = { path, at: now, nonce, sent: 0, sentAt: now, lastAsked: now };
    this.#desk.prove(path, 'answer', now);
    this.#sendChoice(this.#choice, now);
  }

  #sendChoice(choice: Choice, now: number): void {
    const confirmNonce = choice.path.peerNonces[0];
    choice.sentAt = now;
    choice.sent += 1;
    if (confirmNonce) {
      this.#desk.sendBytes(choice.path, encodeChoice(this.#ownKey, choice.nonce, confirmNonce));
    }
  }

  #repeatChoice(choice: Choice, now: number): void {
    if (now >= this.#silentAt(choice)) this.#finish(choice.path, 'silence', now);
    else if (now >= this.#choiceDue(choice)) this.#sendChoice(choice, now);
  }

  #choiceDue(choice: Choice): number {
    const gap = CONFIRM_GAPS_MS[Math.min(choice.sent - 1, CONFIRM_GAPS_MS.length - 1)] ?? 0;
    return Math.min(choice.sentAt + gap, this.#silentAt(choice));
  }

  /** The acceptor asks until it knows the choice: so long a silence says that it knows, and its answers were lost. */
  #silentAt({ at, lastAsked }: Choice): number {
    return Math.max(at, lastAsked) + CHOICE_SILENCE_MS;
  }

  #choiceAnswered(path: Path, data: Uint8Array, now: number): boolean {
    const choice = this.#choice;
    if (!this.#chooses || choice?.path !== path || !isChoiceAck(this.#peerKey, data, choice.nonce))
      return false;
    this.#desk.credit(path, data.length);
    this.#finish(path, 'answer', now);
    return true;
  }

  /** The inviter's choice arrived; it is repeated until our answer got through. */
  #chosen(path: Path, nonce: Buffer, now: number): void {
    if (this.#choice && this.#choice.path !== path) return;
    this.#desk.credit(path, CONFIRM_FRAME_BYTES);
    path.lastHeard = now;
    // Who chose the path has heard us on it.
    path.acknowledged(now);
    if (!this.#choice) {
      if (path.peerNonces.length === 0) return;
      this.#choice = { path, at: now, nonce, sent: 0, sentAt: now, lastAsked: now };
      this.#noteWorking(path, now);
      this.#desk.prove(path, 'answer', now);
    }
    this.#choice.lastAsked = now;
    this.#answerChoice(path, nonce);
  }

  #answerChoice(path: Path, nonce: Buffer): void {
    this.#desk.sendBytes(path, encodeChoiceAck(this.#ownKey, this.#desk.random(CONFIRM_NONCE_BYTES), nonce));
  }

  /** Some copies unasked: an inviter that loses all of them waits for seconds. */
  #linger(choice: Choice, now: number): void {
    while (now >= choice.at + (LINGER_SENDS_MS[choice.sent] ?? NEVER)) {
      choice.sent += 1;
      this.#answerChoice(choice.path, choice.nonce);
    }
    if (now >= this.#lingerEnd(choice)) this.#desk.settle();
  }

  #lingerDue(choice: Choice): number {
    return Math.min(this.#lingerEnd(choice), choice.at + (LINGER_SENDS_MS[choice.sent] ?? NEVER));
  }

  #lingerEnd({ at, lastAsked }: Choice): number {
    return Math.min(lastAsked + LINGER_ASKED_MS, at + LINGER_MAX_MS);
  }

  #finish(path: Path, by: ProvenBy, now: number): void {
    this.#noteWorking(path, now);
    this.#desk.prove(path, by, now);
    this.#desk.settle();
  }

  #confirm(path: Path, now: number): void {
    if (this.#isSettled(path) || !past(path.lastSent, minGap(path), now)) return;
    path.nonce ??= this.#desk.random(CONFIRM_NONCE_BYTES);
    // Also when the budget refuses: the next try keeps its distance.
    path.lastSent = now;
    if (this.#desk.sendBytes(path, encodeConfirm(this.#ownKey, path.nonce))) path.confirmsSent += 1;
  }

  /** Has a confirm on this path nothing more to ask for? The acceptor's asks for the choice too. */
  #isSettled(path: Path): boolean {
    return path.acknowledgedAt !== undefined && (this.#chooses || path.peerNonces.length === 0);
  }

  #confirmAt(path: Path): number {
    if (path.lastSent === undefined || this.#isSettled(path)) return NEVER;
    if (!path.authentic && path.repeats >= CONFIRM_REPEATS) return NEVER;
    const gap = CONFIRM_GAPS_MS[Math.min(path.repeats, CONFIRM_GAPS_MS.length - 1)] ?? 0;
    return path.lastSent + Math.max(gap, minGap(path));
  }
}

/** Of the rungs before this one it is known within milliseconds whether they lead anywhere. */
const REFLEXIVE = RUNGS.indexOf('reflexive');

/** Two NATs that move with each answer make paths without end; none of them is pursued at full pace for long. */
function minGap(path: Path): number {
  return path.confirmsSent < CONFIRM_REPEATS ? ANSWER_MIN_GAP_MS : PLEXUS_SLOT_MS;
}
