import type { IdentityName, PartialName } from '../identity/names.js';
import type { Logger } from '../log.js';

/** The two messages of one exchange (DESIGN: invitation and answer); plexus' subjects. */
export type LetterKind = 'invite' | 'accept';

/**
 * What the sealed bytes are: an S/MIME entity, the signed part of an OpenDHT value, or bare reference text (only
 * where plaintext was typed).
 */
export type LetterForm = 'smime' | 'opendht' | 'plain';

/** How messages of a backend are sealed (one row in sealings.ts each). */
export type SealingName = 'smime' | 'opendht';

/** One opaque message to carry. Backends neither read nor change `bytes`. */
export interface Letter {
  readonly app: string;
  readonly kind: LetterKind;
  readonly from: IdentityName;
  readonly to: IdentityName;
  readonly form: LetterForm;
  readonly bytes: Uint8Array;
  /** DER SubjectPublicKeyInfo of the recipient: where a DHT keeps its letters. */
  readonly toKey?: Uint8Array;
  /** The same of the sender, where the recipient's answer will be looked for. */
  readonly fromKey?: Uint8Array;
  /** Answers only: `id` of the envelope that is answered. */
  readonly answers?: string;
}

/**
 * One message as it arrived. `from` and `to` are *hints*: names that passed the charset rules, nothing more.
 * Who wrote it is settled by the seal, outside.
 */
export interface Envelope extends Omit<Letter, 'from'> {
  /** Absent where the backend carries keys instead of names; then `fromKey` is there. */
  readonly from?: IdentityName;
  /** Backend's own id, for logs. */
  readonly id: string;
  readonly receivedAt: Date;
  /** Tells the backend that the message was ours and is done with (e-mail: delete it). Never rejects. */
  ack(): Promise<void>;
}

/** Which messages to deliver; missing parts match everything. */
export interface LetterFilter {
  readonly app: string;
  readonly kind: LetterKind;
  /** Recipient: our own identity. */
  readonly to: PartialName;
  /** Sender. */
  readonly from: PartialName;
  /** DER SubjectPublicKeyInfo of the recipient and, where one peer is named, of the sender. */
  readonly toKey?: Uint8Array;
  readonly fromKey?: Uint8Array;
}

/** What a backend may use: nothing of the session, no keys. */
export interface RendezvousContext {
  readonly log: Logger;
  readonly now: () => Date;
}

/**
 * A connected backend. It moves opaque bytes and guards nothing: sealing, pinning, replay, size caps and address
 * filtering happen outside, once. Lost connections are its own business: `listen` reconnects with backoff.
 */
export interface Rendezvous {
  readonly name: string;
  readonly sealing: SealingName;
  /**
   * Connects and fixes the point in time from which messages count, so that an answer cannot be missed that
   * arrives before `listen` is called. Listening from a prepared rendezvous also delivers what arrived since.
   * @throws AwlError RENDEZVOUS_UNREACHABLE, RENDEZVOUS_REFUSED (login), RENDEZVOUS_UNTRUSTED (TLS)
   */
  prepare(signal: AbortSignal): Promise<void>;
  /** Delivers matching messages, each once per call, until the signal aborts (the iterator then just ends). */
  listen(filter: LetterFilter, signal: AbortSignal): AsyncIterable<Envelope>;
  /**
   * Hands one message over; resolves when the operator has taken it.
   * @throws AwlError as `prepare`
   */
  push(letter: Letter, signal: AbortSignal): Promise<void>;
  /** Ends connections and timers. Idempotent, never rejects. */
  close(): Promise<void>;
}
