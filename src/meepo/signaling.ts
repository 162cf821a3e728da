import { AwlError, errorText } from '../errors.js';
import type { Logger } from '../log.js';
import { sleep } from '../util/sleep.js';
import type { Descriptor } from '../wire/meepo/descriptor.js';

/** A way by which offers reach peers that there is no path to yet. */
export interface Signaler {
  readonly name: string;
  /**
   * Hands an offer to a peer and yields its answer; who made that is not checked yet.
   * @throws AwlError MEEPO_UNAVAILABLE, MEEPO_REFUSED with the peer's words
   */
  wire(peer: string, offer: Descriptor, signal: AbortSignal): Promise<Descriptor>;
  /** Sees to it that answers would come in, while an offer is being made. Never rejects. */
  refresh?(): Promise<void>;
  /** Idempotent, never rejects. */
  close(): Promise<void>;
}

/** Answers an offer that arrived. What it throws is told to the peer if the offer is really the peer's. */
export type AnswerOffer = (offer: Descriptor) => Promise<Descriptor>;

/** A way that has not answered so soon is not waited for: neighbours that know nobody stay silent for long. */
const HEAD_START_MS = 300;

/** All ways to signal, begun one after the other; the first answer counts. */
export class Signaling {
  readonly #signalers: () => readonly Signaler[];
  readonly #log: Logger;
  readonly #closing: AbortSignal;

  constructor(signalers: () => readonly Signaler[], log: Logger, closing: AbortSignal) {
    this.#signalers = signalers;
    this.#log = log;
    this.#closing = closing;
  }

  /** Gets ready. Never rejects. */
  async refresh(): Promise<void> {
    await Promise.all(this.#signalers().map((signaler) => signaler.refresh?.()));
  }

  /** An offer may come by several ways; whoever it is for takes one of them. @throws AwlError MEEPO_UNAVAILABLE, MEEPO_REFUSED */
  async carry(peer: string, offer: Descriptor): Promise<Descriptor> {
    const signalers = this.#signalers();
    if (signalers.length === 0) {
      throw new AwlError('MEEPO_UNAVAILABLE', 'no signaling is configured', {
        hint: 'set signaling.url: awl meepo config set signaling.url=redis://HOST:PORT/1',
      });
    }
    const answered = new AbortController();
    const signal = AbortSignal.any([this.#closing, answered.signal]);
    let turn = Promise.resolve();
    const tries = signalers.map((signaler) => {
      const begun = turn;
      const tried = begun.then(() => this.#try(signaler, peer, offer, signal));
      turn = Promise.race([
        tried.then(
          () => {},
          () => {},
        ),
        begun.then(() => sleep(HEAD_START_MS, signal)).catch(() => {}),
      ]);
      return tried;
    });
    try {
      return await Promise.any(tries);
    } catch (error) {
      throw error instanceof AggregateError ? error.errors.at(-1) : error;
    } finally {
      answered.abort(new Error('another way was quicker'));
    }
  }

  async #try(signaler: Signaler, peer: string, offer: Descriptor, signal: AbortSignal): Promise<Descriptor> {
    signal.throwIfAborted();
    try {
      return await signaler.wire(peer, offer, signal);
    } catch (error) {
      if (!signal.aborted) this.#log.debug(`signaling to ${peer} by ${signaler.name}: ${errorText(error)}`);
      throw error;
    }
  }
}
