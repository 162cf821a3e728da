import {
  ANSWER_MIN_GAP_MS,
  CONFIRM_FRAME_BYTES,
  HANDSHAKE_FRAME_BYTES,
  LINGER_ASKED_MS,
  LINGER_MAX_MS,
  LINGER_MS,
  LINGER_SENDS_MS,
} from '../constants.js';
import {
  type Chosen,
  CONFIRM_NONCE_BYTES,
  decodeChoice,
  decodeChoiceAck,
  encodeChoice,
  encodeChoiceAck,
  type PunchRole,
  SEEN_FRAME_BYTES,
} from '../wire/confirm.js';
import type { HandshakeFlag } from '../wire/handshake.js';
import { Confirming, gapAfter } from './confirming.js';
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
  /** The peer reads a choice that says where we see it. */
  readonly tellsSeen: boolean;
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
  readonly #confirming: Confirming;
  #workingSince: number | undefined;
  #choice: Choice | undefined;

  constructor(desk: Desk, options: ChoosingOptions) {
    this.#desk = desk;
    this.#o = options;
    this.#confirming = new Confirming(desk, { ...options, isSettled: (path) => this.#isSettled(path) });
  }

  frame(path: Path, _flag: HandshakeFlag, now: number): void {
    if (!this.#choice) this.#confirming.heard(path, now);
  }

  other(from: Place, data: Uint8Array, now: number): boolean {
    if (data.length === CONFIRM_FRAME_BYTES) return this.#sealed(from, data, now);
    if (data.length === HANDSHAKE_FRAME_BYTES) return false;
    const path = this.#desk.known(from);
    if (path && data.length === SEEN_FRAME_BYTES && this.#settling(path, data, now)) return true;
    if (!path?.proven) return false;
    // Whoever sends its payload's traffic has made or learnt the choice.
    if (this.#choice && this.#choice.path !== path) return false;
    if (!this.#choice && this.#chooses) return false;
    this.#finish(path, 'traffic', now);
    return true;
  }

  /** A peer that knows the choice takes a confirm from a place that it has not heard of yet. */
  greeting(path: Path, now: number): Buffer | undefined {
    if (this.#choice || path.authentic || path.lastSent !== undefined) return undefined;
    return this.#confirming.greeting(path, now);
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
    this.#confirming.tick(now);
  }

  next(): number {
    const choice = this.#choice;
    if (choice) return this.#chooses ? this.#choiceDue(choice) : this.#lingerDue(choice);
    const best = this.#chooses ? this.#best() : undefined;
    return Math.min(best ? this.#chooseAt(best) : NEVER, this.#confirming.next());
  }

  get #chooses(): boolean {
    return this.#o.role === 'invite';
  }

  #sealed(from: Place, data: Uint8Array, now: number): boolean {
    const came = this.#confirming.read(from, data, now);
    if (came?.kind === 'confirm') this.#confirmed(came.path, now);
    else if (came) this.#noteWorking(came.path, now);
    if (came) return true;
    const path = this.#desk.known(from);
    return path !== undefined && this.#settling(path, data, now);
  }

  /** Is it the choice, or the answer to it? */
  #settling(path: Path, data: Uint8Array, now: number): boolean {
    if (this.#chooses) return this.#choiceAnswered(path, data, now);
    const choice = path.nonce && decodeChoice(this.#confirming.peerKey, data, path.nonce);
    if (choice) this.#chosen(path, choice, data.length, now);
    return choice !== undefined;
  }

  #confirmed(path: Path, now: number): void {
    const choice = this.#choice;
    if (choice) {
      if (choice.path !== path) return;
      choice.lastAsked = now;
      if (this.#chooses && past(choice.sentAt, ANSWER_MIN_GAP_MS, now)) this.#sendChoice(choice, now);
      return;
    }
    this.#noteWorking(path, now);
    if (!path.proven) this.#confirming.ask(path, now);
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
      const seen = this.#o.tellsSeen ? choice.path.endpoint : undefined;
      this.#desk.sendBytes(
        choice.path,
        encodeChoice(this.#confirming.ownKey, choice.nonce, confirmNonce, seen),
      );
    }
  }

  #repeatChoice(choice: Choice, now: number): void {
    if (now >= this.#silentAt(choice)) this.#finish(choice.path, 'silence', now);
    else if (now >= this.#choiceDue(choice)) this.#sendChoice(choice, now);
  }

  #choiceDue(choice: Choice): number {
    return Math.min(choice.sentAt + gapAfter(choice.sent - 1), this.#silentAt(choice));
  }

  /** The acceptor asks until it knows the choice: so long a silence says that it knows, and its answers were lost. */
  #silentAt({ at, lastAsked }: Choice): number {
    return Math.max(at, lastAsked) + CHOICE_SILENCE_MS;
  }

  #choiceAnswered(path: Path, data: Uint8Array, now: number): boolean {
    const choice = this.#choice;
    const answer = choice?.path === path && decodeChoiceAck(this.#confirming.peerKey, data, choice.nonce);
    if (!answer) return false;
    path.seen = answer.seen;
    this.#desk.credit(path, data.length);
    this.#finish(path, 'answer', now);
    return true;
  }

  /** The inviter's choice arrived; it is repeated until our answer got through. */
  #chosen(path: Path, { nonce, seen }: Chosen, bytes: number, now: number): void {
    if (this.#choice && this.#choice.path !== path) return;
    this.#desk.credit(path, bytes);
    path.seen = seen;
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
    // Whoever says where it sees us reads where we see it.
    const seen = path.seen && path.endpoint;
    const ownNonce = this.#desk.random(CONFIRM_NONCE_BYTES);
    this.#desk.sendBytes(path, encodeChoiceAck(this.#confirming.ownKey, ownNonce, nonce, seen));
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

  /** An inviter that lost the answer repeats its choice after CONFIRM_GAPS_MS[0], within LINGER_MS. */
  #lingerEnd({ at, lastAsked }: Choice): number {
    return lastAsked > at ? Math.min(lastAsked + LINGER_ASKED_MS, at + LINGER_MAX_MS) : at + LINGER_MS;
  }

  #finish(path: Path, by: ProvenBy, now: number): void {
    this.#noteWorking(path, now);
    this.#desk.prove(path, by, now);
    this.#desk.settle();
  }

  /** Has a confirm on this path nothing more to ask for? The acceptor's asks for the choice too. */
  #isSettled(path: Path): boolean {
    return path.acknowledgedAt !== undefined && (this.#chooses || path.peerNonces.length === 0);
  }
}

/** Of the rungs before this one it is known within milliseconds whether they lead anywhere. */
const REFLEXIVE = RUNGS.indexOf('reflexive');
