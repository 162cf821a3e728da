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
