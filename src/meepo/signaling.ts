import { AwlError, errorText } from '../errors.js';
import type { Logger } from '../log.js';
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

/** All ways to signal, tried in their order. */
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

  /** The first way that brings an answer. @throws AwlError MEEPO_UNAVAILABLE, MEEPO_REFUSED */
  async carry(peer: string, offer: Descriptor): Promise<Descriptor> {
    let last: unknown = new AwlError('MEEPO_UNAVAILABLE', 'no signaling is configured', {
      hint: 'set signaling.url: awl meepo config set signaling.url=redis://HOST:PORT/1',
    });
    for (const signaler of this.#signalers()) {
      try {
        return await signaler.wire(peer, offer, this.#closing);
      } catch (error) {
        this.#log.debug(`signaling to ${peer} by ${signaler.name}: ${errorText(error)}`);
        last = error;
      }
    }
    throw last;
  }
}
