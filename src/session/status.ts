import type { TunnelStats } from '../tunnel/stats.js';
import type { NatReport } from '../wire/nat-report.js';

/** Where a session stands. */
export type SessionState = 'inviting' | 'answering' | 'passage' | 'payload' | 'tunnel' | 'reconnecting';

/** What a tunnel counts, and what its counters say about the last seconds. */
export interface TunnelStatus extends TunnelStats {
  /** Bytes a second, over the last few seconds. */
  readonly sendRate: number;
  readonly receiveRate: number;
  /** Share of packets that were sent again, 0 to 1; absent where the carrier does not count them. */
  readonly loss?: number;
  readonly imports: readonly string[];
  readonly offered: readonly string[];
}

/** One session as `awl status --json` shows it; endpoints are texts, times milliseconds. */
export interface SessionStatus {
  readonly session: string;
  readonly state: SessionState;
  readonly peer: string;
  readonly host?: string;
  readonly ageMs: number;
  /** Since the passage was won. */
  readonly upMs?: number;
  readonly inner?: string;
  readonly outer?: string;
  readonly alien?: string;
  /** Rung of the ladder that won. */
  readonly how?: string;
  /** `udp` or `tcp`, and the route if it is not the direct one. */
  readonly transport?: string;
  readonly route?: string;
  readonly confirmed?: boolean;
  /** From the beginning to the passage. */
  readonly setupMs?: number;
  /** Of the program. */
  readonly pid?: number;
  readonly tunnel?: TunnelStatus;
}

/** One process. Nothing here is secret: no key, no puzzle, no session key. */
export interface ProcessStatus {
  readonly pid: number;
  readonly mode: 'accept' | 'invite';
  readonly app: string;
  readonly host: string;
  /** Who may connect, or whom it asks; empty for everybody in the repository. */
  readonly peer: string;
  readonly upMs: number;
  /** Rendezvous on which it waits for invitations. */
  readonly listening: readonly string[];
  readonly passages: number;
  readonly failures: number;
  readonly refusals: number;
  readonly lastFailure?: { readonly code: string; readonly message: string; readonly agoMs: number };
  readonly nat?: NatReport;
  readonly sessions: readonly SessionStatus[];
}
