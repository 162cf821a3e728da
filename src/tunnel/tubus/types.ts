export type TubusRole = 'connect' | 'accept';

/**
 * `closed`: we ended it and the peer knows; `unanswered`: it did not answer our tear; `torn`: the peer ended it;
 * `timeout`: no link in time; `silent`: nothing came for too long; `broken`: a move was never acknowledged.
 */
export type TubusEnd = 'closed' | 'unanswered' | 'torn' | 'timeout' | 'silent' | 'broken';

export interface TubusCounts {
  /** Packets of another pin or out of place. */
  strangers: number;
  /** Moves beyond the window or too many ahead of a gap. */
  beyond: number;
  /** Moves that were here already. */
  duplicates: number;
}

export interface TubusStats extends Readonly<TubusCounts> {
  /** Stream bytes sent and received in order. */
  readonly sent: number;
  readonly received: number;
  /** Moves sent, and those of them that were sent again. */
  readonly moves: number;
  readonly retransmitted: number;
  readonly rttMs: number | undefined;
}
