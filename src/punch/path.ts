import { type Endpoint, sameEndpoint } from '../util/endpoint.js';

/** Distinct frames remembered per path: two are enough to trust a remapped port. */
const MAX_DISTINCT = 4;

/** One place where the peer may be, and what has been seen of it. Changed by the dialogues only. */
export class Path {
  readonly endpoint: Endpoint;
  /** The endpoint that the peer's signed message named. */
  readonly announced: boolean;
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
  acknowledgedAt: number | undefined;
  readonly #distinct = new Set<string>();

  constructor(endpoint: Endpoint, announced: Endpoint) {
    this.endpoint = endpoint;
    this.announced = sameEndpoint(endpoint, announced);
  }

  note(frame: Uint8Array, now: number): void {
    this.lastHeard = now;
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
