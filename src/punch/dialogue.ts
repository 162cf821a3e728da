import type { HandshakeFlag } from '../wire/handshake.js';
import type { Path, Place } from './path.js';

/** What settled it: the peer's answer (flag 1 or confirm-ack), its payload's traffic, or its silence once answered. */
export type ProvenBy = 'answer' | 'traffic' | 'silence';

/** What a dialogue may do; the machine behind it keeps paths, budget and clock. */
export interface Desk {
  readonly paths: Iterable<Path>;
  /** The path to a place, made if it is new; undefined where nothing may be sent to. */
  path(place: Place): Path | undefined;
  /** The path to a place if there is one already. */
  known(place: Place): Path | undefined;
  /** Books a valid datagram of `bytes` from a path. */
  credit(path: Path, bytes: number): void;
  /** Sends a fresh legacy frame, within the budget. */
  sendFlag(path: Path, flag: HandshakeFlag): boolean;
  /** Sends other bytes, within the budget. */
  sendBytes(path: Path, data: Buffer): boolean;
  random(bytes: number): Buffer;
  /** A path works both ways; whether it becomes the passage is not yet settled. */
  works(now: number): void;
  /** The passage is there: no more openers. The dialogue may still linger for the peer's sake. */
  prove(path: Path, by: ProvenBy, now: number): void;
  /** The socket can be handed on. */
  settle(): void;
}

/** The rules by which valid frames lead to a passage; one for legacy peers, one for peers with a confirmation key. */
export interface Dialogue {
  /** A valid legacy frame arrived. */
  frame(path: Path, flag: HandshakeFlag, now: number): void;
  /** Something else arrived from a plausible address. False if it meant nothing. */
  other(from: Place, data: Uint8Array, now: number): boolean;
  /** What an opener to a silent place may say instead of a legacy frame; undefined where it is to be one. */
  greeting(path: Path, now: number): Buffer | undefined;
  tick(now: number): void;
  /** When {@link tick} has something to do next; infinity if never. */
  next(): number;
}

/** Is at least `gap` milliseconds past since `at`? Also if `at` never was. */
export function past(at: number | undefined, gap: number, now: number): boolean {
  return at === undefined || now >= at + gap;
}
