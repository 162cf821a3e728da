import { type Endpoint, sameEndpoint } from '../util/endpoint.js';
import type { ProvenBy } from './dialogue.js';
import type { Path } from './path.js';
import type { Rung } from './plan.js';

/** A datagram to send now. */
export interface Sending {
  readonly data: Buffer;
  readonly to: Endpoint;
  /** Number of the own socket. */
  readonly socket: number;
  readonly ttl?: number;
}

export type Outcome =
  | { readonly kind: 'done'; readonly path: Path; readonly by: ProvenBy }
  | { readonly kind: 'failed'; readonly reason: 'timeout' | 'impossible' };

/** Counters of one attempt; `bad` frames were ignored, `foreign` came from addresses the peer cannot be at. */
export interface PunchStats {
  sent: number;
  sentBytes: number;
  received: number;
  valid: number;
  bad: number;
  reflected: number;
  foreign: number;
  /** Those of `sent` that belonged to wide attempts. */
  wide: number;
}

/** How a passage was won: by a rung of the ladder, or at another port or address than anybody expected. */
export type How = Rung | 'remapped' | 'moved';

/** The `how` of a passage. */
export function describePath(path: Path, reference: Endpoint): How {
  if (sameEndpoint(path.endpoint, reference) && path.socket === 0) return 'reflexive';
  return path.rung ?? (path.endpoint.address === reference.address ? 'remapped' : 'moved');
}
