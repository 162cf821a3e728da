import { type Endpoint, sameEndpoint } from '../util/endpoint.js';

/** Distinct frames remembered per path: two are enough to trust a remapped port. */
const MAX_DISTINCT = 4;

/** One place where the peer may be, and what has been seen of it. Changed by the dialogues only. */
export class Path {
  readonly endpoint: Endpoint;
  /** The endpoint that the peer's signed message named. */
  readonly announced: boolean;
  /** At the announced address, if perhaps at another port. */
  readonly near: boolean;
  /** Milliseconds of the machine's clock; undefined until it happened. */
  lastHeard: number | undefined;
  lastSent: number | undefined;
  firstAnswered: number | undefined;
  lastAnswered: number | undefined;
  /** Answers or confirm frames repeated since the last valid frame. */
  repeats = 0;
  /** confirm: our nonce on this path, the peer's last one, and what they led to. */
  nonce: Buffer | undefined;
  peerNonce: Buffer | undefined;
  confirmsSent = 0;
  acknowledgedAt: number | undefined;
  readonly #distinct = new Set<string>();

  constructor(endpoint: Endpoint, announced: Endpoint) {
    this.endpoint = endpoint;
    this.announced = sameEndpoint(endpoint, announced);
    this.near = endpoint.address === announced.address;
  }

  note(frame: Uint8Array, now: number): void {
    this.lastHeard = now;
    if (this.#distinct.size < MAX_DISTINCT) this.#distinct.add(Buffer.from(frame).toString('latin1'));
  }

  /**
   * Without a confirmation, may a frame from here decide? The announced endpoint was signed by the peer; elsewhere
   * one random datagram in 256 looks valid, so two different ones are asked for.
   */
  get trusted(): boolean {
    return this.announced || this.#distinct.size >= 2;
  }

  /** The peer proved here that it holds the confirmation key. */
  get authentic(): boolean {
    return this.peerNonce !== undefined || this.acknowledgedAt !== undefined;
  }
}
