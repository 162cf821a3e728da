import { type Endpoint, formatEndpoint } from '../util/endpoint.js';
import type { Rung } from './plan.js';

/** Distinct frames remembered per path: two are enough to trust a remapped port. */
const MAX_DISTINCT = 4;

/** One of our sockets and one place where the peer may be. */
export interface Place {
  /** Number of our socket; 0 is that of the reference. */
  readonly socket: number;
  readonly endpoint: Endpoint;
}

/** The place as a key of maps. */
export function placeKey({ socket, endpoint }: Place): string {
  return `${socket} ${formatEndpoint(endpoint)}`;
}

/** What is known of a place before anything came from there. */
export interface PathOrigin {
  /** The peer's signed message named the endpoint. */
  readonly announced: boolean;
  /** The rung of the ladder that leads there; undefined where the peer came from a place that nobody expected. */
  readonly rung?: Rung;
}

/** One place where the peer may be, and what has been seen of it. Changed by the dialogues only. */
export class Path implements Place {
  readonly socket: number;
  readonly endpoint: Endpoint;
  readonly announced: boolean;
  readonly rung: Rung | undefined;
  /** Milliseconds of the machine's clock; undefined until it happened. */
  lastHeard: number | undefined;
  /** confirm: when the peer last sent its own, which is a question; an acknowledgement is none. */
  lastAsked: number | undefined;
  lastSent: number | undefined;
  firstAnswered: number | undefined;
  lastAnswered: number | undefined;
  /** Answers or confirm frames repeated since the last valid frame. */
  repeats = 0;
  /** confirm: our nonce on this path, the peer's last two (it may see us at two places), and what they led to. */
  nonce: Buffer | undefined;
  peerNonces: readonly Buffer[] = [];
  confirmsSent = 0;
  greetings = 0;
  greetedAt: number | undefined;
  acknowledgedAt: number | undefined;
  /** Round trip of the confirmation, where it was not repeated before its answer. */
  rttMs: number | undefined;
  /** Where the peer sees our socket, as it says itself. */
  seen: Endpoint | undefined;
  /** Valid legacy frames that came from here. */
  frames = 0;
  readonly #distinct = new Set<string>();

  constructor({ socket, endpoint }: Place, { announced, rung }: PathOrigin) {
    this.socket = socket;
    this.endpoint = endpoint;
    this.announced = announced;
    this.rung = rung;
  }

  acknowledged(now: number): void {
    if (this.acknowledgedAt !== undefined) return;
    this.acknowledgedAt = now;
    const sentAt = this.confirmsSent === 1 ? this.lastSent : this.greetedAt;
    if (this.greetings + this.confirmsSent === 1 && sentAt !== undefined) this.rttMs = now - sentAt;
  }

  /** Both directions work, and the peer holds the key. */
  get proven(): boolean {
    return this.acknowledgedAt !== undefined && this.peerNonces.length > 0;
  }

  note(frame: Uint8Array, now: number): void {
    this.lastHeard = now;
    this.frames += 1;
    if (this.#distinct.size < MAX_DISTINCT) this.#distinct.add(Buffer.from(frame).toString('latin1'));
  }

  /** Different valid legacy frames that came from here, counted up to a few. */
  get distinctFrames(): number {
    return this.#distinct.size;
  }

  /** The peer's proof that it holds the confirmation key arrived from here. */
  get authentic(): boolean {
    return this.peerNonces.length > 0 || this.acknowledgedAt !== undefined;
  }

  /**
   * May traffic or silence settle this path? An acknowledgement is the whole proof. A mere confirm can be replayed
   * from elsewhere by who saw it, so it counts only from the endpoint that the peer signed.
   */
  get conclusive(): boolean {
    return this.acknowledgedAt !== undefined || (this.announced && this.peerNonces.length > 0);
  }
}
